import { Value } from "typebox/value";
import { Answer, Capabilities, LedgerPage, LedgerState } from "../protocol.ts";
import { createSigner } from "../signature.ts";
import { Broken, type Reply, type Session, Skipped, shown } from "./session.ts";

/** One rule of docs/channel-protocol.md. Throws `Broken` when it does not hold, `Skipped` when the endpoint need not have it. */
export interface Check {
  id: string;
  /** The rule in a sentence. */
  rule: string;
  /** Where docs/channel-protocol.md says so. */
  section: string;
  run(session: Session): Promise<void>;
}

function expectStatus(answer: Answer, status: Answer["status"], reason?: string): void {
  if (answer.status !== status || (reason !== undefined && answer.reason !== reason))
    throw new Broken(`"${status}"${reason ? `, reason "${reason}"` : ""}`, JSON.stringify(answer));
}

function expectSame(answer: Answer, first: Answer): void {
  if (answer.status !== first.status || answer.bookingRef !== first.bookingRef)
    throw new Broken(`the same answer, ${JSON.stringify(first)}`, JSON.stringify(answer));
}

function expectCode(reply: Reply, codes: readonly number[], what: string): void {
  if (reply.status === null || !codes.includes(reply.status))
    throw new Broken(`${codes.join(" or ")} (${what})`, shown(reply));
}

/** `404` or "not implemented" of a call that an endpoint need not have. */
const isMissing = ({ status }: Reply): boolean => status === 404 || status === 405 || status === 501;

const longAgo = (session: Session): string => new Date(session.nowMs - 60_000).toISOString();

/** In this order: the first ones say whether the rest can be tried at all. */
export const checks: readonly Check[] = [
  {
    id: "capabilities",
    rule: "GET /capabilities says what it can, or is not there",
    section: "Capabilities",
    async run(session) {
      const reply = await session.get("capabilities");
      if (reply.status !== 200) throw new Skipped(`${shown(reply)}: it gets single calls`);
      if (!Value.Check(Capabilities, reply.body))
        throw new Broken("{ protocol, batch, maxBatch? }", shown(reply));
      session.batch = reply.body.batch;
    },
  },
  {
    id: "book",
    rule: "a booking is taken and has a reference",
    section: "Book",
    run: async (session) => void (await session.booked(session.newKey())),
  },
  {
    id: "book-again",
    rule: "the same key again gets the same answer, also after notAfter",
    section: "Five rules, 1 and 3",
    async run(session) {
      const key = session.newKey();
      const first = await session.booked(key);
      expectSame(await session.book(key), first);
      expectSame(await session.book(key, { notAfter: longAgo(session) }), first);
    },
  },
  {
    id: "book-at-once",
    rule: "the same key five times at once is one booking",
    section: "Five rules, 1",
    async run(session) {
      const key = session.newKey();
      const answers = await Promise.all(Array.from({ length: 5 }, () => session.booked(key)));
      for (const answer of answers) expectSame(answer, answers[0]!);
    },
  },
  {
    id: "keys-differ",
    rule: "another key is another booking",
    section: "Five rules, 1",
    async run(session) {
      const [one, other] = [await session.booked(session.newKey()), await session.booked(session.newKey())];
      if (one.bookingRef === other.bookingRef)
        throw new Broken("two references", `"${one.bookingRef}" for both`);
    },
  },
  {
    id: "unknown-fields",
    rule: "fields that it does not know are ignored",
    section: "Five rules, 5",
    run: async (session) => void (await session.booked(session.newKey(), { certify: { newer: true } })),
  },
  {
    id: "cancel",
    rule: "a booking is cancelled; cancelled again it is still cancelled, and its key is not booked any more",
    section: "Cancel",
    async run(session) {
      const key = session.newKey();
      await session.booked(key);
      expectStatus(await session.cancel(key), "cancelled");
      expectStatus(await session.cancel(key), "cancelled");
      expectStatus(await session.book(key), "refused", "cancelled");
    },
  },
  {
    id: "tombstone",
    rule: "a key that it never heard of is cancelled too, and a booking that comes late is refused",
    section: "Five rules, 2",
    async run(session) {
      const key = session.newKey();
      expectStatus(await session.cancel(key), "cancelled");
      expectStatus(await session.book(key), "refused", "cancelled");
    },
  },
  {
    id: "not-after",
    rule: "a booking that it first sees after notAfter is refused, and stays refused",
    section: "Five rules, 2 and 3",
    async run(session) {
      const key = session.newKey();
      expectStatus(await session.book(key, { notAfter: longAgo(session) }), "refused", "too_late");
      expectStatus(await session.book(key), "refused");
    },
  },
  {
    id: "withdraw-booked",
    rule: "a withdrawal (unlessBooked) leaves a firm booking alone",
    section: "Cancel",
    async run(session) {
      const key = session.newKey();
      const first = await session.booked(key);
      expectStatus(await session.cancel(key, { unlessBooked: true }), "refused", "booked");
      expectSame(await session.book(key), first);
    },
  },
  {
    id: "withdraw-unknown",
    rule: "a withdrawal of a key that it never heard of leaves a tombstone",
    section: "Cancel",
    async run(session) {
      const key = session.newKey();
      expectStatus(await session.cancel(key, { unlessBooked: true }), "cancelled");
      expectStatus(await session.book(key), "refused", "cancelled");
    },
  },
  {
    id: "hold",
    rule: "room is held, again for the same key, and then booked; a hold that is withdrawn is not booked",
    section: "Hold",
    async run(session) {
      const [key, other] = [session.newKey(), session.newKey()];
      const hold = async (which: string) =>
        session.answer(await session.post("hold", session.holdCall(which)), which);
      const reply = await session.post("hold", session.holdCall(key));
      const missing =
        isMissing(reply) || (reply.body as { reason?: string } | undefined)?.reason === "hold_unsupported";
      if (missing && !session.isMember)
        throw new Skipped("it takes no holds: orders that are changed do not move there");
      expectStatus(session.answer(reply, key), "held");
      expectStatus(await hold(key), "held");
      await session.booked(key);
      expectStatus(await hold(key), "booked");
      expectStatus(await hold(other), "held");
      expectStatus(await session.cancel(other, { unlessBooked: true }), "cancelled");
      expectStatus(await session.book(other), "refused", "cancelled");
    },
  },
  {
    id: "signature",
    rule: "what is not signed, signed with another secret, changed or older than five minutes is refused",
    section: "Signatures",
    async run(session) {
      const call = session.bookCall(session.newKey());
      const another = createSigner(`whsec_${Buffer.alloc(24, 7).toString("base64")}`);
      const tampered = [
        ["not signed", { signer: null }],
        ["another secret", { signer: another }],
        ["ten minutes old", { atMs: session.nowMs - 600_000 }],
        ["changed on its way", { text: JSON.stringify({ ...call, units: 2 }) }],
      ] as const;
      for (const [what, how] of tampered) expectCode(await session.post("book", call, how), [401], what);
    },
  },
  {
    id: "addressed",
    rule: "a body that is meant for another call or another channel is refused",
    section: "Signatures",
    async run(session) {
      const key = session.newKey();
      expectCode(
        await session.post("book", session.cancelCall(key)),
        [400, 422],
        "a cancellation sent to /book",
      );
      const elsewhere = session.bookCall(key, { channelId: "chn_00000000000000000000000000" });
      expectCode(await session.post("book", elsewhere), [400, 401, 403, 404, 422], "another channel's");
    },
  },
  {
    id: "bad-input",
    rule: "what is not a call is refused with 400, not with 5xx",
    section: "Answers to hold, book and cancel",
    async run(session) {
      const { key: _, ...keyless } = session.bookCall(session.newKey());
      expectCode(await session.post("book", keyless), [400, 422], "a booking without a key");
      expectCode(await session.post("cancel", { call: "cancel" }), [400, 422], "a cancellation of nothing");
    },
  },
  {
    id: "batch",
    rule: "a batch is answered call by call, in its order",
    section: "Batch",
    async run(session) {
      if (!session.batch) throw new Skipped("it takes no batches");
      const [one, other] = [session.newKey(), session.newKey()];
      const calls = [session.bookCall(one), session.cancelCall(other), session.bookCall(other)];
      const reply = await session.post("batch", { call: "batch", ...session.address, calls });
      const { results } = (reply.body ?? {}) as { results?: unknown };
      if (reply.status !== 200 || !Array.isArray(results) || results.length !== 3)
        throw new Broken("200 with three results", shown(reply));
      for (const [index, status] of (["booked", "cancelled", "refused"] as const).entries()) {
        const result: unknown = results[index];
        if (!Value.Check(Answer, result))
          throw new Broken(`an answer as result ${index + 1}`, JSON.stringify(result));
        expectStatus(result, status);
      }
    },
  },
  {
    id: "status",
    rule: "status tells what it has of a key, and `none` of one that it never heard of",
    section: "Status and list",
    async run(session) {
      const [key, unknown] = [session.newKey(), session.newKey()];
      await session.booked(key);
      for (const [which, state] of [
        [key, "booked"],
        [unknown, "none"],
      ] as const) {
        const reply = await session.post("status", { call: "status", ...session.address, key: which });
        if (isMissing(reply)) throw new Skipped("its bookings can't be reconciled");
        if (reply.status !== 200 || !Value.Check(LedgerState, reply.body) || reply.body.state !== state)
          throw new Broken(`state "${state}"`, shown(reply));
      }
    },
  },
  {
    id: "list",
    rule: "list tells every key once, page by page",
    section: "Status and list",
    async run(session) {
      const keys = [session.newKey(), session.newKey(), session.newKey()];
      for (const key of keys) await session.booked(key);
      const seen = new Set<string>();
      for (let cursor: string | null = null, pages = 0; pages === 0 || cursor !== null; pages += 1) {
        const page = { call: "list", ...session.address, limit: 50, ...(cursor === null ? {} : { cursor }) };
        const reply = await session.post("list", page);
        if (isMissing(reply)) throw new Skipped("its bookings can't be reconciled");
        if (reply.status !== 200 || !Value.Check(LedgerPage, reply.body))
          throw new Broken("{ items, nextCursor }", shown(reply));
        for (const { key } of reply.body.items) {
          if (seen.has(key)) throw new Broken("each key once", `${key} twice`);
          seen.add(key);
        }
        cursor = reply.body.nextCursor;
        if (pages > 1_000) throw new Broken("an end of the list", "a thousand pages");
      }
      const lacking = keys.find((key) => !seen.has(key));
      if (lacking) throw new Broken(`${lacking}, which it booked`, "a list without it");
    },
  },
];
