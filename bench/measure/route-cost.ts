import type { Channel, ChannelRoom } from "../../src/capacity/api.ts";
import type { ChannelAdapter } from "../../src/channels/api.ts";
import type { OrderDoc } from "../../src/orchestration/order.ts";
import { createRouting } from "../../src/orchestration/routing.ts";
import { centre, seeded, spread } from "../mix.ts";

const hourMs = 3_600_000;

/** A city of channels, all within reach of all places, with two-hour slots over three days. */
export function cityOf(channels: number, fromMs: number): ChannelRoom[] {
  const random = seeded(channels);
  const at = (around: number) => around + (random() * 2 - 1) * spread;
  return Array.from({ length: channels }, (_, index): ChannelRoom => {
    const channel: Channel = {
      id: `chn_${String(index).padStart(26, "0")}`,
      type: index % 6 === 5 ? "dark_store" : "internal_kitchen",
      name: `Kitchen ${index}`,
      location: { lat: at(centre.lat), lng: at(centre.lng) },
      serviceRadiusMeters: 40_000,
      vehicles: ["bike", "scooter", "car"],
      costModel: { currency: "AED", baseMinor: 600, perKmMinor: 60, perUnitMinor: 40 },
      quality: 0.8 + random() * 0.2,
      preparationMinutes: 20,
      bookTimeoutMs: 2_000,
      maxConcurrentCalls: 16,
      status: "active",
      health: "up",
      version: 1,
      createdAt: "",
      updatedAt: "",
    };
    const slots = Array.from({ length: 36 }, (__, slot) => ({
      id: `slt_${String(index * 100 + slot).padStart(26, "0")}`,
      startMs: fromMs + slot * 2 * hourMs,
      endMs: fromMs + (slot + 1) * 2 * hourMs,
      sellable: 1_000_000,
      reserved: 100 * index,
    }));
    return { channel, slots };
  });
}

const kitchen = { local: true } as ChannelAdapter;

/** CPU microseconds that routing takes an order, from the order's document to its assignment, in batches of 200. */
export function measureRouting(options: { channels: number; orders: number }): number {
  const nowMs = Date.UTC(2030, 0, 1);
  const network = cityOf(options.channels, nowMs);
  const random = seeded(1);
  const orders = Array.from({ length: 4_000 }, (_, index) => {
    const startMs = nowMs + (1 + Math.floor(random() * 30)) * 2 * hourMs;
    const doc: OrderDoc = {
      id: `ord_${String(index).padStart(26, "0")}`,
      customerId: `cus_${index}`,
      currency: "AED",
      items: [{ sku: "meal-1", quantity: 1 + Math.floor(random() * 3), unitPriceMinor: 4_500 }],
      delivery: {
        location: {
          lat: centre.lat + (random() * 2 - 1) * spread,
          lng: centre.lng + (random() * 2 - 1) * spread,
        },
        window: {
          start: new Date(startMs).toISOString(),
          end: new Date(startMs + 2 * hourMs).toISOString(),
        },
      },
      priority: "standard",
      metadata: {},
      createdAt: new Date(nowMs).toISOString(),
    };
    const saga = { name: "fulfill-order" as const, version: 1, attempts: 0, refusedBy: [] };
    return { id: doc.id, clientId: "cli_bench", doc, saga };
  });
  const route = createRouting({
    capacity: { network: () => network },
    adapterFor: () => kitchen,
    nowMs: () => nowMs,
    method: "weighted",
  });
  const batch = 200;
  const run = (count: number) => {
    for (let sent = 0; sent < count; sent += batch) {
      const from = sent % orders.length;
      route(orders.slice(from, from + batch));
    }
  };
  run(Math.min(options.orders, 8_000));
  const before = process.cpuUsage();
  run(options.orders);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / options.orders;
}
