import { createSigner } from "../channels/signature.ts";
import { badRequest, booked, code } from "./expectations.ts";
import type { Odd, Probe } from "./probe.ts";
import type { Rule } from "./rule.ts";

const tooFarMs = 10 * 60_000;

/** A cancellation that must not count: 401, and the booking is still there afterwards. */
async function rejects(probe: Probe, oddity: (body: string) => Odd): Promise<void> {
  const key = probe.newKey();
  const call = probe.book(key);
  const booking = probe.must(await probe.ask(call), booked(key));
  const cancel = probe.cancel(key);
  probe.must(await probe.ask(cancel, oddity(JSON.stringify(cancel))), code(401));
  probe.must(await probe.ask(call), booked(key, booking));
}

const signedAt = (probe: Probe, atMs: number, words: string) => (body: string) => ({
  words,
  headers: () => ({ ...probe.signer.sign("msg_certify", atMs, body) }),
});

export const signatureRules: readonly Rule[] = [
  {
    id: "signature.wrong",
    rule: "a call signed with another secret is refused with 401 and does nothing",
    section: "Signatures",
    run: ({ probe }) =>
      rejects(probe, (body) => ({
        words: "signed with another secret",
        headers: () => ({
          ...createSigner(`whsec_${btoa("not the secret of this channel")}`).sign(
            "msg_x",
            probe.nowMs(),
            body,
          ),
        }),
      })),
  },
  {
    id: "signature.missing",
    rule: "a call without a signature is refused with 401 and does nothing",
    section: "Signatures",
    run: ({ probe }) => rejects(probe, () => ({ words: "not signed", headers: () => ({}) })),
  },
  {
    id: "signature.body",
    rule: "a body that was changed after signing is refused with 401 and does nothing",
    section: "Signatures",
    run: ({ probe }) =>
      rejects(probe, (body) => ({
        words: "a blank added after signing",
        headers: () => ({ ...probe.signer.sign("msg_certify", probe.nowMs(), `${body} `) }),
      })),
  },
  {
    id: "signature.old",
    rule: "a call signed ten minutes ago is refused with 401 and does nothing",
    section: "Signatures",
    run: ({ probe }) => rejects(probe, signedAt(probe, probe.nowMs() - tooFarMs, "signed ten minutes ago")),
  },
  {
    id: "signature.future",
    rule: "a call signed ten minutes ahead is refused with 401 and does nothing",
    section: "Signatures",
    run: ({ probe }) => rejects(probe, signedAt(probe, probe.nowMs() + tooFarMs, "signed ten minutes ahead")),
  },
  {
    id: "signature.bytes",
    rule: "the signature is verified over the bytes as they travel",
    section: "Signatures",
    async run({ probe }) {
      const key = probe.newKey();
      const call = probe.book(key);
      const raw = JSON.stringify(call, null, 3).replace("Test Street", "Test\\u0020Street");
      probe.must(await probe.ask(call, { raw, words: "written with blanks and escapes" }), booked(key));
    },
  },
  {
    id: "signature.receiver",
    rule: "a body that is meant for another call or another receiver is refused with 400",
    section: "Signatures",
    async run({ probe }) {
      const key = probe.newKey();
      const call = probe.book(key);
      const booking = probe.must(await probe.ask(call), booked(key));
      const cancel = probe.cancel(key);
      const other = { ...cancel, channelId: "chn_01kc3z3nvceqka9vjbc8rz2qx0" };
      probe.must(await probe.ask(other, { words: "for another channel" }), code(400));
      const stranger = { ...cancel, partner: "somebody-else" };
      probe.must(await probe.ask(stranger, { words: "for another partner" }), code(400));
      const misled = { ...call, call: "book" };
      probe.must(await probe.ask(misled, { path: "/cancel", words: "with the body of a book" }), code(400));
      probe.must(await probe.ask(call), booked(key, booking));
    },
  },
  {
    id: "input.bad",
    rule: "a signed body that is not as described is answered with a 4xx, never a 5xx and never a refusal",
    section: "Answers to hold, book and cancel",
    async run({ probe }) {
      const call = probe.book(probe.newKey());
      probe.must(await probe.ask(call, { raw: '{"call":"book",', words: "not JSON" }), badRequest);
      for (const field of ["key", "notAfter", "items", "delivery"] as const) {
        const body = { ...call, [field]: undefined };
        probe.must(await probe.ask(body, { words: `without ${field}` }), badRequest);
      }
      const wrong = { ...call, items: "two meals" };
      probe.must(await probe.ask(wrong, { words: "items is a text" }), badRequest);
    },
  },
  {
    id: "input.unknown-fields",
    rule: "fields that you don't know are ignored",
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      const call = { ...probe.book(key), certify: { anything: [1, "two"] }, later: true };
      probe.must(await probe.ask(call, { words: "with unknown fields" }), booked(key));
    },
  },
];
