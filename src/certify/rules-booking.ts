import { sleep, toIso } from "../platform/clock.ts";
import { booked, cancelled, refused } from "./expectations.ts";
import type { Rule } from "./rule.ts";

const atOnce = 8;
const shortMs = 1_500;
/** Of the clocks of the two sides. */
const clockSlackMs = 1_000;
const section = "Book";

export const bookingRules: readonly Rule[] = [
  {
    id: "book.form",
    rule: "a booking is answered with its key, status booked and a reference",
    section,
    async run({ probe }) {
      const key = probe.newKey();
      probe.must(await probe.ask(probe.book(key)), booked(key));
    },
  },
  {
    id: "book.repeat",
    rule: "the same key again gets the same booking",
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      const call = probe.book(key);
      const first = probe.must(await probe.ask(call), booked(key));
      for (let time = 0; time < 2; time += 1) probe.must(await probe.ask(call), booked(key, first));
    },
  },
  {
    id: "book.concurrent",
    rule: `the same key ${atOnce} times at once is one booking`,
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      const call = probe.book(key);
      const words = `one of ${atOnce} at once`;
      const all = await Promise.all(Array.from({ length: atOnce }, () => probe.ask(call, { words })));
      const first = probe.must(all[0]!, booked(key));
      for (const came of all.slice(1)) probe.must(came, booked(key, first));
    },
  },
  {
    id: "book.next-attempt",
    rule: "the next attempt of an order has its own key and is judged by itself",
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      const next = key.replace(/1$/, "2");
      probe.must(await probe.ask(probe.book(key)), booked(key));
      probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
      probe.must(await probe.ask(probe.book(next)), booked(next));
    },
  },
  {
    id: "book.not-after",
    rule: "a booking first seen after its notAfter is refused with too_late, and stays refused",
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      const notAfter = toIso(probe.nowMs() - 60_000);
      const late = { words: `notAfter ${notAfter}, a minute ago` };
      probe.must(await probe.ask(probe.book(key, { notAfter }), late), refused(key, "too_late"));
      const again = { words: "refused before, now with time left" };
      probe.must(await probe.ask(probe.book(key), again), refused(key));
    },
  },
  {
    id: "book.late-repeat",
    rule: "a booking that was taken is answered with itself also after its notAfter",
    section: "Five rules",
    async run({ probe }) {
      const key = probe.newKey();
      const call = probe.book(key, { notAfter: toIso(probe.nowMs() + shortMs + clockSlackMs) });
      const first = probe.must(await probe.ask(call), booked(key));
      await sleep(probe.target.clock, shortMs + 2 * clockSlackMs);
      probe.must(await probe.ask(call, { words: "after its notAfter" }), booked(key, first));
    },
  },
];
