export interface Place {
  lat: number;
  lng: number;
}

/** Great-circle distance in metres (haversine, mean Earth radius 6,371,008.8 m). */
export function distance(a: Place, b: Place): number {
  const toRadians = Math.PI / 180;
  const sinLat = Math.sin(((b.lat - a.lat) * toRadians) / 2);
  const sinLng = Math.sin(((b.lng - a.lng) * toRadians) / 2);
  const h = sinLat * sinLat + Math.cos(a.lat * toRadians) * Math.cos(b.lat * toRadians) * sinLng * sinLng;
  return 2 * 6_371_008.8 * Math.asin(Math.min(1, Math.sqrt(h)));
}
