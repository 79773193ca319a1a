import { relative } from "node:path";
import { toIso } from "../platform/clock.ts";

const hourMs = 3_600_000;

export interface Welcome {
  url: string;
  /** Where the API key is kept, and the key when it is known. */
  keyFile: string;
  key: string | null;
  network: { channels: number; simulatorUrl: string } | null;
  nowMs: number;
}

/** The few lines that a start ends with. */
export function welcome({ url, keyFile, key, network, nowMs }: Welcome): readonly string[] {
  const file = shortest(keyFile);
  return [
    `UOOP is running at ${url} (docs: ${url}/docs). Ctrl-C stops it.`,
    key === null
      ? `API keys: made earlier; another one: npm run uoop -- keys create`
      : `API key: ${key} (also in ${file})`,
    ...(network === null
      ? []
      : [
          `Example network: ${network.channels} channels around Dubai, played by the simulator at ${network.simulatorUrl}`,
        ]),
    "Place an order:",
    firstOrder(url, key === null ? "$UOOP_KEY" : `$(cat ${quoted(file)})`, nowMs),
  ];
}

/** One line that works when pasted into a shell. */
export function firstOrder(url: string, key: string, nowMs: number): string {
  const startMs = nowMs - (nowMs % hourMs) + 2 * hourMs;
  const order = {
    externalId: `first-${nowMs.toString(36)}`,
    customerId: "cus_42",
    currency: "AED",
    items: [{ sku: "meal-123", quantity: 2, unitPriceMinor: 4500 }],
    delivery: {
      location: { lat: 25.0772, lng: 55.1405 },
      address: { line1: "Marina Walk 12", city: "Dubai", countryCode: "AE" },
      window: { start: toIso(startMs), end: toIso(startMs + 2 * hourMs) },
    },
  };
  return `curl -sS ${url}/v1/orders -H "Authorization: Bearer ${key}" -H 'Content-Type: application/json' -d '${JSON.stringify(order)}'`;
}

function shortest(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : near;
}

const quoted = (path: string): string =>
  /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
