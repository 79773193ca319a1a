import { sleep, toIso } from "../platform/clock.ts";
import { booked, cancelled, either, held, refused, stateIs } from "./expectations.ts";
import { type Came, notOfferedSkip, type Probe } from "./probe.ts";
import type { Rule } from "./rule.ts";

const section = "Hold";
const holdForMs = 60_000;
const shortMs = 1_500;

/** Skips where holds are not taken, which only members of a network must. */
async function hold(probe: Probe, key: string, forMs = holdForMs): Promise<Came> {
  const untilMs = probe.nowMs() + forMs;
  const came = await probe.ask(probe.hold(key, toIso(untilMs)));
  const unsupported = came.json?.status === "refused" && came.json.reason === "hold_unsupported";
  if (probe.target.addressee.partner === undefined)
    notOfferedSkip(came, "holds are not offered", unsupported);
  return probe.must(came, held(key, untilMs));
}

export const holdRules: readonly Rule[] = [
  {
    id: "hold.repeat",
    rule: "a hold is answered with held and expiresAt, the same key again likewise",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      await hold(probe, key);
      await hold(probe, key);
    },
  },
  {
    id: "hold.book",
    rule: "what you hold is booked; a hold of what is booked is answered with the booking",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      await hold(probe, key);
      const booking = probe.must(await probe.ask(probe.book(key)), booked(key));
      const again = await probe.ask(probe.hold(key, toIso(probe.nowMs() + holdForMs)));
      probe.must(again, booked(key, booking));
    },
  },
  {
    id: "hold.withdraw",
    rule: "an offer that lost is withdrawn: the hold ends and can't be booked any more",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      await hold(probe, key);
      for (let time = 0; time < 2; time += 1)
        probe.must(await probe.ask(probe.cancel(key, true), { words: "unlessBooked" }), cancelled(key));
      probe.must(await probe.ask(probe.book(key)), refused(key, "cancelled"));
    },
  },
  {
    id: "hold.tombstone",
    rule: "an offer that arrives after its withdrawal is refused with cancelled",
    section: "Five rules",
    async run({ probe }) {
      await hold(probe, probe.newKey());
      const key = probe.newKey();
      probe.must(await probe.ask(probe.cancel(key, true), { words: "unlessBooked" }), cancelled(key));
      const late = await probe.ask(probe.hold(key, toIso(probe.nowMs() + holdForMs)));
      probe.must(late, refused(key, "cancelled"));
    },
  },
  {
    id: "hold.not-after",
    rule: "a hold first seen after its notAfter is refused with too_late",
    section: "Five rules",
    async run({ probe }) {
      await hold(probe, probe.newKey());
      const key = probe.newKey();
      const times = { notAfter: toIso(probe.nowMs() - holdForMs) };
      const late = await probe.ask(probe.hold(key, toIso(probe.nowMs() + holdForMs), times));
      probe.must(late, refused(key, "too_late"));
    },
  },
  {
    id: "hold.expires",
    rule: "a hold that has run out counts as none: its booking is judged as a new one",
    section: "Book",
    async run({ probe }) {
      const key = probe.newKey();
      await hold(probe, key, shortMs);
      await sleep(probe.target.clock, 2 * shortMs);
      const told = await probe.ask({ call: "status", ...probe.target.addressee, key } as { call: string });
      if (told.status === 200) probe.must(told, stateIs("cancelled"));
      const notAfter = toIso(probe.nowMs() - holdForMs);
      const stale = await probe.ask(probe.book(key, { notAfter }), {
        words: "hold and notAfter have passed",
      });
      probe.must(stale, refused(key, "too_late"));
      const other = probe.newKey();
      await hold(probe, other, shortMs);
      await sleep(probe.target.clock, 2 * shortMs);
      const late = await probe.ask(probe.book(other), { words: "the hold has run out, notAfter has not" });
      probe.must(late, either(booked(other), refused(other)));
    },
  },
];
