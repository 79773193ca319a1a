import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Agent, request } from "undici";
import { certify } from "../../src/channels/certify/certify.ts";
import { checks } from "../../src/channels/certify/checks.ts";
import { protocolVersion } from "../../src/channels/protocol.ts";
import { startSimulator } from "../../src/channels/simulator/simulator.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createIds } from "../../src/platform/ids.ts";
import { log, newSecret, put, testServer } from "./support.ts";

const ids = createIds();
const dispatcher = new Agent();
const simulator = await startSimulator({ port: 0, log, seed: 1 });
after(async () => {
  await dispatcher.destroy();
  await simulator.close();
});

/** A channel that the simulator plays, quick and silent. */
async function partner(
  behaviour: object = {},
): Promise<{ endpoint: string; secret: string; channelId: string }> {
  const channelId = ids.create("chn", Date.now());
  const secret = newSecret();
  await put(simulator.url, `/control/channels/${channelId}`, {
    secret,
    behaviour: { latencyMs: { min: 0, max: 0 }, callbacks: "off", ...behaviour },
  });
  return { endpoint: `${simulator.url}/channels/${channelId}`, secret, channelId };
}

async function failedOf(at: { endpoint: string; secret: string; channelId: string }): Promise<string[]> {
  const { results } = await certify({
    endpoint: at.endpoint,
    secret: at.secret,
    to: { channelId: at.channelId },
    protocol: protocolVersion,
    timeoutMs: 1_000,
    dispatcher,
    clock: systemClock,
    ids,
  });
  assert.equal(results.length, checks.length);
  return results.filter(({ outcome }) => outcome === "failed").map(({ id }) => id);
}

test("the simulator keeps every rule, and skips none but what it was told not to have", async () => {
  assert.deepEqual(await failedOf(await partner()), []);
  assert.deepEqual(await failedOf(await partner({ batch: false })), []);
});

interface Call {
  path: string;
  headers: Record<string, string>;
  body: string;
}
type Answer = { status: number; body: string };

/** A partner that does one thing wrong: it stands before the simulator and changes what it is asked or what it answers. */
async function wrongPartner(wrong: (call: Call, ask: (call: Call) => Promise<Answer>) => Promise<Answer>) {
  const real = await partner();
  const ask = async ({ path, headers, body }: Call): Promise<Answer> => {
    const method = body === "" ? "GET" : "POST";
    const answer = await request(`${real.endpoint}${path}`, {
      dispatcher,
      method,
      headers,
      body: body || null,
    });
    return { status: answer.statusCode, body: await answer.body.text() };
  };
  const { url } = await testServer(async (incoming, response, body) => {
    const headers: Record<string, string> = {};
    for (const name of ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"]) {
      const value = incoming.headers[name];
      if (typeof value === "string") headers[name] = value;
    }
    const answer = await wrong({ path: incoming.url!, headers, body }, ask);
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(answer.body);
  });
  return { ...real, endpoint: url };
}

const json = (status: number, body: object): Answer => ({ status, body: JSON.stringify(body) });
const callOf = (call: Call) =>
  JSON.parse(call.body || "{}") as { key: string; unlessBooked?: boolean; notAfter?: string };

test("a partner that breaks one rule is told which", async () => {
  let booked = 0;
  const heard = new Set<string>();
  const ofCall = (call: Call, status: string) =>
    json(200, { key: callOf(call).key, status, bookingRef: "B-1" });
  const wrongs: [string, string[], Parameters<typeof wrongPartner>[0]][] = [
    [
      "another reference each time",
      ["book-again", "book-at-once", "withdraw-booked"],
      async (call, ask) => {
        const answer = await ask(call);
        const body = JSON.parse(answer.body) as { status?: string };
        booked += 1;
        return body.status === "booked" ? json(200, { ...body, bookingRef: `B-${booked}` }) : answer;
      },
    ],
    [
      "refusals with 200",
      ["cancel", "tombstone", "not-after", "withdraw-booked", "withdraw-unknown", "hold"],
      async (call, ask) => {
        const answer = await ask(call);
        return answer.status === 409 ? { ...answer, status: 200 } : answer;
      },
    ],
    [
      "no tombstone",
      ["tombstone", "withdraw-unknown"],
      async (call, ask) => {
        const { key } = callOf(call);
        if (call.path === "/cancel" && !heard.has(key)) return ofCall(call, "cancelled");
        heard.add(key);
        return ask(call);
      },
    ],
    [
      "late bookings are taken",
      ["book-again", "not-after"],
      async (call, ask) => {
        const late = call.path === "/book" && Date.parse(callOf(call).notAfter ?? "") < Date.now();
        return late ? ofCall(call, "booked") : ask(call);
      },
    ],
    [
      "withdrawals cancel bookings",
      ["withdraw-booked", "withdraw-unknown", "hold"],
      async (call, ask) => (callOf(call).unlessBooked ? ofCall(call, "cancelled") : ask(call)),
    ],
    [
      "a list without its last entry",
      ["list"],
      async (call, ask) => {
        const answer = await ask(call);
        const { items, nextCursor } = JSON.parse(answer.body || "{}") as {
          items?: object[];
          nextCursor?: unknown;
        };
        return call.path === "/list" && items ? json(200, { items: items.slice(0, -1), nextCursor }) : answer;
      },
    ],
    [
      "a server error for bad input",
      ["addressed", "bad-input"],
      async (call, ask) => {
        const answer = await ask(call);
        return answer.status === 400 ? json(500, {}) : answer;
      },
    ],
    [
      "signatures that nobody looks at",
      ["signature"],
      async (call, ask) => {
        const answer = await ask(call);
        return answer.status === 401
          ? json(200, { key: callOf(call).key, status: "booked", bookingRef: "B-1" })
          : answer;
      },
    ],
  ];
  for (const [what, expected, wrong] of wrongs) {
    const failed = await failedOf(await wrongPartner(wrong));
    assert.deepEqual(failed, expected, what);
  }
});
