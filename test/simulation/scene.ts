import type { Channel, NewChannel } from "../../src/capacity/api.ts";
import type { Submission } from "../../src/orchestration/api.ts";

/** Virtual time begins here, whenever it is run: a seed replays exactly. */
export const startMs = Date.UTC(2026, 10, 24, 6);

export const secondMs = 1_000;
export const hourMs = 3_600_000;
/** Orders come and things break for this long; then all is healed. */
export const busyMs = 15 * secondMs;

/** When everybody wants to eat. */
export const window = {
  start: new Date(startMs + hourMs).toISOString(),
  end: new Date(startMs + 3 * hourMs).toISOString(),
};
export const laterWindow = { start: new Date(startMs + 2 * hourMs).toISOString(), end: window.end };
export const by = { actor: "simulation", source: null };

export const channelOf = (type: Channel["type"]): NewChannel => ({
  type,
  name: type,
  location: { lat: 25.08, lng: 55.14 },
  serviceRadiusMeters: 20_000,
  vehicles: ["bike"],
  costModel: { currency: "AED", baseMinor: 500, perKmMinor: 100, perUnitMinor: 0 },
  quality: 0.9,
  preparationMinutes: 20,
  bookTimeoutMs: 500,
  maxConcurrentCalls: 4,
  ...(type === "dark_store" ? { tracksStock: true } : {}),
  ...(type === "external_partner" ? { endpoint: "http://partner.example" } : {}),
  ...(type === "partner_network"
    ? { partners: [{ id: "member", name: "Member", endpoint: "http://member.example" }] }
    : {}),
});

/** What is ordered; the dark store has few of each. */
export const skus = ["meal-1", "meal-2"] as const;

export const submissionOf = (key: string, seed: number): Submission => ({
  clientId: "cli_simulation",
  by,
  keyNamespace: "header",
  idempotencyKey: key,
  personal: null,
  order: {
    customerId: `cus_${seed}`,
    currency: "AED",
    items: [{ sku: "meal-1", quantity: 1 + (key.length % 2), unitPriceMinor: 4_500 }],
    delivery: { location: { lat: 25.0772, lng: 55.1405 }, window },
    priority: "standard",
    metadata: {},
  },
});
