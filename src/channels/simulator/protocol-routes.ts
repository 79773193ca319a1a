import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type Clock, sleep } from "../../platform/clock.ts";
import {
  type Answer,
  type AttemptCall,
  BatchCall,
  BookCall,
  CancelCall,
  type Capabilities,
  HoldCall,
  ListCall,
  maxBatchCalls,
  protocolVersion,
  StatusCall,
} from "../protocol.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Cooking } from "./cooking.ts";
import { judge } from "./judge.ts";
import type { Ledger } from "./ledger.ts";
import { pick } from "./random.ts";
import { count, type KnownChannel, type Settings } from "./settings.ts";

interface World {
  clock: Clock;
  settings: Settings;
  ledger: Ledger;
  cooking: Cooking;
}

declare module "fastify" {
  interface FastifyRequest {
    /** The body as it was sent: what the signature covers. */
    rawBody: string;
    /** The channel that is called, once the signature has been verified. */
    channel: KnownChannel | undefined;
  }
}

interface Params {
  channelId: string;
  partner?: string;
}

/** A call that is never answered keeps its connection this long at most. */
const hangForMs = 60_000;

/** The protocol's calls, for every channel at `/channels/{id}` and member at `/channels/{id}/partners/{partner}`. */
export function protocolRoutes(server: FastifyInstance, world: World): void {
  server.addHook("preValidation", async (request, reply) => verify(request, reply, world));
  for (const base of ["/channels/:channelId", "/channels/:channelId/partners/:partner"]) {
    server.get(`${base}/capabilities`, (request, reply) => capabilities(request, reply, world));
    const attempt = (request: FastifyRequest, reply: FastifyReply) => {
      const call = request.body as AttemptCall;
      return misbehaving(request, reply, world, call.call, async () =>
        answerOne(request, reply, call, world),
      );
    };
    server.post(`${base}/hold`, { schema: { body: HoldCall } }, attempt);
    server.post(`${base}/book`, { schema: { body: BookCall } }, attempt);
    server.post(`${base}/cancel`, { schema: { body: CancelCall } }, attempt);
    server.post(`${base}/batch`, { schema: { body: BatchCall } }, (request, reply) =>
      batch(request, reply, world),
    );
    server.post(`${base}/status`, { schema: { body: StatusCall } }, (request) => status(request, world));
    server.post(`${base}/list`, { schema: { body: ListCall } }, (request) => list(request, world));
  }
}

/** 404 for a channel that is not simulated here, 401 for a bad signature, 400 for a body meant for someone else. */
async function verify(request: FastifyRequest, reply: FastifyReply, world: World): Promise<unknown> {
  const { channelId, partner } = request.params as Params;
  const channel = world.settings.channel(channelId);
  if (!channel) return reply.code(404).send({ error: `channel ${channelId} is not known here` });
  request.channel = channel;
  if (request.method !== "POST") return undefined;
  if (!channel.signer.verifies(request.headers, request.rawBody)) {
    count(channel, "signature.wrong");
    return reply.code(401).send({ error: "the signature does not verify" });
  }
  const body = request.body as { call?: string; channelId?: string; partner?: string } | undefined;
  const path = request.routeOptions.url?.split("/").at(-1);
  if (body?.call !== path || body?.channelId !== channelId || body?.partner !== partner) {
    return reply.code(400).send({ error: "the body is meant for another call, channel or partner" });
  }
  return undefined;
}

const behaviourOf = (request: FastifyRequest): Behaviour =>
  request.channel!.behaviourOf((request.params as Params).partner);

/** Takes its time, and now and then fails or never answers, with or without having done the work. */
async function misbehaving(
  request: FastifyRequest,
  reply: FastifyReply,
  world: World,
  call: string,
  work: () => Promise<unknown>,
): Promise<unknown> {
  const channel = request.channel!;
  const behaviour = behaviourOf(request);
  count(channel, `call.${call}`);
  const { random } = channel;
  const dice = random();
  const worksAnyway = random() < 0.5;
  await sleep(world.clock, pick(random, behaviour.latencyMs));
  if (dice < behaviour.timeoutRate) {
    count(channel, "call.unanswered");
    reply.hijack();
    world.clock.after(hangForMs, () => request.raw.socket.destroy());
    if (worksAnyway) await work();
    return undefined;
  }
  if (dice < behaviour.timeoutRate + behaviour.failRate) {
    count(channel, "call.failed");
    if (worksAnyway) await work();
    return reply.code(500).send({ error: "simulated failure" });
  }
  return work();
}

async function answerOne(request: FastifyRequest, reply: FastifyReply, call: AttemptCall, world: World) {
  const answer = await settle(request, call, world);
  if (answer.status === "refused") reply.code(409);
  return answer;
}

/** Judges the call and remembers what came of it, before anyone is told. */
async function settle(request: FastifyRequest, call: AttemptCall, world: World): Promise<Answer> {
  const { channelId, partner } = request.params as Params;
  const at = { channelId, ...(partner === undefined ? {} : { partner }) };
  const channel = request.channel!;
  const behaviour = behaviourOf(request);
  const { ledger, cooking } = world;
  const before = ledger.find(at, call.key);
  const full = channel.random() < behaviour.refuseRate;
  const bookingRef = `B-${(before?.seq ?? ledger.nextSeq).toString(36).toUpperCase()}`;
  const verdict = judge(before, call, {
    nowMs: world.clock.nowMs(),
    full,
    bookingRef,
    cancelFeeMinor: behaviour.cancelFeeMinor,
  });
  count(channel, `${call.call}.${verdict.answer.status}`);
  if (!verdict.change) return verdict.answer;
  const entry = await ledger.write(at, call.key, verdict.change);
  if (verdict.change.state !== "booked") return verdict.answer;
  if (channel.random() < behaviour.earlyCallbackRate) {
    count(channel, "callback.early");
    await cooking.beginEarly(entry);
  } else {
    cooking.begin(entry);
  }
  return verdict.answer;
}

async function batch(request: FastifyRequest, reply: FastifyReply, world: World): Promise<unknown> {
  const { calls } = request.body as BatchCall;
  const behaviour = behaviourOf(request);
  if (!behaviour.batch) return reply.code(404).send({ error: "batches are not taken here" });
  return misbehaving(request, reply, world, "batch", async () => ({
    results: await Promise.all(calls.map((call) => settle(request, call, world))),
  }));
}

async function capabilities(
  request: FastifyRequest,
  reply: FastifyReply,
  world: World,
): Promise<Capabilities> {
  const { batch, latencyMs } = behaviourOf(request);
  await sleep(world.clock, pick(request.channel!.random, latencyMs));
  reply.header("cache-control", "max-age=300");
  return { protocol: protocolVersion, batch, maxBatch: maxBatchCalls };
}

async function status(request: FastifyRequest, world: World) {
  const { channelId, partner } = request.params as Params;
  const { key } = request.body as StatusCall;
  const entry = world.ledger.find({ channelId, ...(partner === undefined ? {} : { partner }) }, key);
  return entry ? world.ledger.show(entry) : { key, channelId, state: "none" };
}

async function list(request: FastifyRequest, world: World) {
  const { channelId, partner } = request.params as Params;
  const { cursor, limit } = request.body as ListCall;
  const at = { channelId, ...(partner === undefined ? {} : { partner }) };
  return world.ledger.page(Number(cursor ?? 0) || 0, limit ?? 100, at);
}
