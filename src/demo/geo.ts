import type { LatLng } from "../orchestration/order.ts";
import type { Point } from "./mdrp.ts";

/** IUGG mean radius: what the haversine formula of routing uses, so that both mean the same metre. */
const earthRadiusMeters = 6_371_008.8;

/** Where the published planes are laid on the globe (they are anonymised: any place does). Near the equator, so they bend little. */
const referencePoint: LatLng = { lat: 25.08, lng: 55.2 };

/**
 * Lays a plane in metres on the globe with `origin` at the reference point (equirectangular). Within 20 km of the origin
 * distances agree with the haversine to better than 0.3 % (a test holds 1 %).
 */
export function planeToGlobe(origin: Point): (point: Point) => LatLng {
  const degreesPerMeter = 180 / Math.PI / earthRadiusMeters;
  const shrink = Math.cos((referencePoint.lat * Math.PI) / 180);
  const round = (degrees: number) => Math.round(degrees * 1e7) / 1e7; // 1 cm
  return (point) => ({
    lat: round(referencePoint.lat + (point.y - origin.y) * degreesPerMeter),
    lng: round(referencePoint.lng + ((point.x - origin.x) * degreesPerMeter) / shrink),
  });
}

/** Straight line on the plane, metres. */
export const metersBetween = (one: Point, other: Point): number =>
  Math.hypot(one.x - other.x, one.y - other.y);

export function centerOf(points: readonly Point[]): Point {
  const sum = points.reduce((all, point) => ({ x: all.x + point.x, y: all.y + point.y }), { x: 0, y: 0 });
  return { x: sum.x / points.length, y: sum.y / points.length };
}
