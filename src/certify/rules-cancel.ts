import { toIso } from "../platform/clock.ts";
import { booked, cancelled, either, refused } from "./expectations.ts";
import { Skipped } from "./probe.ts";
import type { Rule } from "./rule.ts";

const section = "Cancel";

export const cancelRules: readonly Rule[] = [
  {
    id: "cancel.booked",
    rule: "a booking is cancelled, as often as it is asked",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      probe.must(await probe.ask(probe.book(key)), booked(key));
      for (let time = 0; time < 3; time += 1) probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
    },
  },
  {
    id: "cancel.stays",
    rule: "a key that was cancelled stays cancelled: booking it again is refused with cancelled",
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      probe.must(await probe.ask(probe.book(key)), booked(key));
      probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
      probe.must(await probe.ask(probe.book(key)), refused(key, "cancelled"));
    },
  },
  {
    id: "cancel.unknown",
    rule: "a key that you never had is cancelled too",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      for (let time = 0; time < 2; time += 1) probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
    },
  },
  {
    id: "cancel.tombstone",
    rule: "a booking that arrives after its cancellation is refused with cancelled",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
      for (let time = 0; time < 2; time += 1)
        probe.must(await probe.ask(probe.book(key)), refused(key, "cancelled"));
      probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
    },
  },
  {
    id: "cancel.refused",
    rule: "a key that you refused is cancelled too",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      const notAfter = toIso(probe.nowMs() - 60_000);
      probe.must(await probe.ask(probe.book(key, { notAfter })), refused(key));
      probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
    },
  },
  {
    id: "cancel.race",
    rule: "a booking and its cancellation at once leave it cancelled",
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      const both = [probe.ask(probe.book(key)), probe.ask(probe.cancel(key))] as const;
      const [book, cancel] = await Promise.all(both);
      probe.must(book, either(booked(key), refused(key, "cancelled")));
      probe.must(cancel, cancelled(key));
      probe.must(await probe.ask(probe.book(key)), refused(key, "cancelled"));
    },
  },
  {
    id: "withdraw.booked",
    rule: "a withdrawal (unlessBooked) leaves a firm booking alone and is refused with booked",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      const call = probe.book(key);
      const booking = probe.must(await probe.ask(call), booked(key));
      const words = "unlessBooked";
      probe.must(await probe.ask(probe.cancel(key, true), { words }), refused(key, "booked"));
      probe.must(await probe.ask(call), booked(key, booking));
    },
  },
  {
    id: "withdraw.unknown",
    rule: "a withdrawal of an unknown key leaves a tombstone",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      probe.must(await probe.ask(probe.cancel(key, true), { words: "unlessBooked" }), cancelled(key));
      probe.must(await probe.ask(probe.book(key)), refused(key, "cancelled"));
    },
  },
  {
    id: "cancel.too-late",
    rule: "what has left is not cancelled: refused with too_late",
    section,
    async run({ probe, listener, reportedKey, waitMs }) {
      if (!listener) throw new Skipped("needs your report that a booking has left: run with --listen");
      const gone = await listener.heard(
        ({ attemptKey, kind }) =>
          attemptKey === reportedKey && (kind === "dispatched" || kind === "delivered"),
        waitMs,
      );
      if (!gone || !reportedKey)
        throw new Skipped(`no booking was reported dispatched in ${waitMs / 1_000} s`);
      const words = `reported ${gone.kind}`;
      probe.must(await probe.ask(probe.cancel(reportedKey), { words }), refused(reportedKey, "too_late"));
    },
  },
];
