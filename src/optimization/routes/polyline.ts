export interface Location {
  lat: number;
  lng: number;
}

const unitsPerDegree = 1e5;

/** Google's encoded polyline (developers.google.com/maps/documentation/utilities/polylinealgorithm), five decimals: about a metre. */
export function encodePolyline(points: readonly Location[]): string {
  let [text, lat, lng] = ["", 0, 0];
  for (const point of points) {
    const [nextLat, nextLng] = [
      Math.round(point.lat * unitsPerDegree),
      Math.round(point.lng * unitsPerDegree),
    ];
    text += encodeNumber(nextLat - lat) + encodeNumber(nextLng - lng);
    [lat, lng] = [nextLat, nextLng];
  }
  return text;
}

/** The sign goes to the lowest bit, then five bits a character, lowest first; 0x20 says that more follow. */
function encodeNumber(value: number): string {
  let rest = value < 0 ? ~(value << 1) : value << 1;
  let text = "";
  for (; rest >= 0x20; rest >>= 5) text += String.fromCharCode((0x20 | (rest & 0x1f)) + 63);
  return text + String.fromCharCode(rest + 63);
}
