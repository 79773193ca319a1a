import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { createChildren } from "../../bench/children.ts";
import { createReader } from "../../bench/load/connection.ts";
import { startLoad } from "../../bench/load/load.ts";
import type { RunPlan } from "../../bench/load/plan.ts";
import { defaultShares, type Mix, makeBodies } from "../../bench/mix.ts";
import { secondsUntilAsBefore } from "../../bench/overload.ts";
import { channelTypes } from "../../src/capacity/api.ts";

const mix: Mix = {
  seed: 7,
  shares: defaultShares,
  windows: [{ start: "2030-01-01T08:00:00.000Z", end: "2030-01-01T10:00:00.000Z" }],
};

const answer = (body: string, status = 201): string =>
  `HTTP/1.1 ${status} X\r\nContent-Length: ${Buffer.byteLength(body)}\r\netag: "1"\r\n\r\n${body}`;

test("answers are read whole, however the network cuts them", () => {
  const bytes = Buffer.from(
    answer('{"status":201,"x":1}{"status":201,') + answer("no", 503) + answer("", 202),
  );
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const reader = createReader('{"status":201,');
    const seen: string[] = [];
    for (let from = 0; from < bytes.length; from += cut) {
      let rest = bytes.subarray(from, from + cut);
      while (rest.length > 0) {
        rest = rest.subarray(reader.read(rest));
        if (!reader.whole) continue;
        seen.push(`${reader.status}:${reader.matches}`);
        reader.next();
      }
    }
    assert.deepEqual(seen, ["201:2", "503:0", "202:0"], `cut into pieces of ${cut}`);
  }
});

test("the mix of orders is exact, and the same for the same seed", () => {
  const bodies = makeBodies(mix);
  const counts = channelTypes.map((_, kind) => bodies.filter((body) => body.kind === kind).length);
  assert.deepEqual(counts, [2_800, 400, 600, 200]);
  assert.deepEqual(makeBodies(mix), bodies);
  const contended = makeBodies({
    ...mix,
    contended: { share: 0.2, ordersPerWindow: 10, windows: mix.windows },
  });
  assert.equal(contended.filter(({ window }) => window === null).length, 800);
  for (const { before, window, after } of bodies.slice(0, 50)) JSON.parse(before + window + after);
});

/** A server that stands still once, for this long, as soon as it has answered so many requests. */
async function stallingServer(stallMs: number, afterRequests: number) {
  let count = 0;
  const keys = new Set<string>();
  let stalled: Promise<void> | undefined;
  const server: Server = createServer((request, response) => {
    count += 1;
    keys.add(String(request.headers["idempotency-key"]));
    if (count === afterRequests) stalled = new Promise((resolve) => setTimeout(resolve, stallMs));
    request.resume();
    request.on("end", async () => {
      await stalled;
      response.writeHead(201, { "content-length": 2 }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, keys, port: (server.address() as AddressInfo).port, count: () => count };
}

const children = createChildren();
const load = await startLoad(children);
after(() => load.stop());

const plan = (id: string, port: number, pace: RunPlan["pace"]): RunPlan => ({
  id,
  host: "127.0.0.1",
  port,
  traffic: { kind: "orders", keys: ["uoop_a", "uoop_b"], mix },
  pace,
  rampMs: 100,
  measureMs: 1_000,
});

test("in the open loop a stall counts for every request that was due meanwhile, also with few connections", async () => {
  const { server, port, keys, count } = await stallingServer(400, 80);
  const pace = { kind: "open", perSecond: 200, connections: 4 } as const;
  const { latency, statuses, lost, unanswered } = await load.run(plan("open", port, pace));
  server.close();
  assert.equal(lost + unanswered, 0);
  assert.equal(statuses["201"], count());
  assert.equal(keys.size, count(), "every request has a key of its own");
  assert.ok(Math.abs(latency.count - 200) <= 4, `${latency.count} requests were due in the measured second`);
  assert.ok(latency.maxMs > 300, `the stall of 400 ms shows as ${latency.maxMs} ms`);
  // 80 requests were due during the stall, one every 5 ms: a tenth of all waited more than 300 ms.
  assert.ok(latency.p90Ms > 200, `p90 is ${latency.p90Ms} ms`);
});

test("the closed loop keeps so many requests under way and counts every answer", async () => {
  const { server, port, count } = await stallingServer(0, Number.POSITIVE_INFINITY);
  const result = await load.run(plan("closed", port, { kind: "closed", inFlight: 3 }));
  server.close();
  assert.equal(result.statuses["201"], count());
  assert.ok(result.confirmed > 0 && result.confirmed <= count());
  assert.equal(result.confirmed, result.answered);
  assert.equal(
    result.confirmedByKind.reduce((sum, kind) => sum + kind, 0),
    count(),
  );
});

test("a server that goes away in the middle is a number of lost requests, not an end", async () => {
  const { server, port, count } = await stallingServer(0, Number.POSITIVE_INFINITY);
  const result = await load.run(plan("lost", port, { kind: "closed", inFlight: 3 }), {
    onBegan() {
      const before = count();
      const looking = setInterval(() => {
        if (count() < before + 20) return;
        clearInterval(looking);
        server.close();
        server.closeAllConnections();
      }, 5);
    },
  });
  assert.ok(result.confirmed > 0);
  // Three connections that try again every 50 ms for 800 ms.
  assert.ok(result.lost >= 3 && result.lost <= 60, `${result.lost} were lost`);
});

test("it is as before from the second after which no second is bad", () => {
  const second = (p99Ms: number, refused = 0) => ({ confirmed: 1, refused, p99Ms });
  assert.equal(secondsUntilAsBefore([second(10), second(12)], 50), 0);
  assert.equal(secondsUntilAsBefore([second(900), second(10), second(60), second(12)], 50), 3);
  assert.equal(secondsUntilAsBefore([second(10, 5), second(12)], 50), 1);
  assert.equal(secondsUntilAsBefore([second(10), second(70)], 50), null);
});
