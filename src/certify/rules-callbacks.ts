import type { Heard, Listener } from "./callbacks.ts";
import { booked } from "./expectations.ts";
import { Broken, type Probe, Skipped } from "./probe.ts";
import type { Rule, Run } from "./rule.ts";

const kinds = ["preparing", "ready", "dispatched", "delivered", "undelivered", "refused"];
const section = "Callbacks";

/** Books once for all rules of reports; its booking is not cancelled, so that it is carried out. */
async function reported(run: Run): Promise<{ listener: Listener; key: string }> {
  const { listener, probe } = run;
  if (!listener) throw new Skipped("needs your reports: run with --listen");
  if (run.reportedKey === undefined) {
    const key = probe.newKey();
    probe.must(await probe.ask(probe.book(key)), booked(key));
    probe.open.delete(key);
    run.reportedKey = key;
  }
  return { listener, key: run.reportedKey };
}

function see(probe: Probe, expected: string, report: Heard | undefined, waitMs: number, ok: boolean): void {
  const sent = `listened for ${waitMs / 1_000} s at most`;
  probe.steps.push({ sent, expected, came: report ? `POST ${report.path} ${report.body}` : "nothing", ok });
  if (!ok) throw new Broken();
}

export const callbackRules: readonly Rule[] = [
  {
    id: "callbacks.signed",
    rule: "a booking is reported, signed with the channel's secret",
    section,
    async run(run) {
      const { listener } = await reported(run);
      const report = await listener.heard(() => true, run.waitMs);
      see(run.probe, "a report whose signature verifies", report, run.waitMs, report?.verified === true);
    },
  },
  {
    id: "callbacks.form",
    rule: "a report names its callbackId, the key of the booking, its kind and when it happened",
    section,
    async run(run) {
      const { listener, key } = await reported(run);
      const { channelId } = run.probe.target.addressee;
      const report = await listener.heard(({ attemptKey }) => attemptKey === key, run.waitMs);
      const wellFormed =
        report !== undefined &&
        report.path === `/v1/channels/${channelId}/callbacks` &&
        typeof report.callbackId === "string" &&
        report.callbackId !== "" &&
        kinds.includes(String(report.kind)) &&
        !Number.isNaN(Date.parse(String(report.at)));
      const expected = `POST /v1/channels/${channelId}/callbacks with callbackId, attemptKey ${key}, a known kind and at`;
      see(run.probe, expected, report ?? listener.all[0], run.waitMs, wellFormed);
    },
  },
  {
    id: "callbacks.repeated",
    rule: "a report that was answered 503 comes again with the same callbackId",
    section,
    async run(run) {
      const { listener } = await reported(run);
      const first = await listener.heard(({ verified }) => verified, run.waitMs);
      const again = await listener.heard(
        (report) => report !== first && report.verified && report.callbackId === first?.callbackId,
        run.waitMs,
      );
      const expected = `the report again that was answered 503: callbackId ${first?.callbackId}`;
      see(run.probe, expected, again ?? first, run.waitMs, again !== undefined);
    },
  },
  {
    id: "callbacks.own-id",
    rule: "a callbackId is never reused for another report",
    section,
    async run(run) {
      const { listener, key } = await reported(run);
      await listener.heard(
        ({ attemptKey, kind }) =>
          attemptKey === key && ["delivered", "undelivered", "refused"].includes(String(kind)),
        run.waitMs,
      );
      const reused = listener.all.find((one) =>
        listener.all.some(
          (other) =>
            one.callbackId === other.callbackId &&
            (one.kind !== other.kind || one.attemptKey !== other.attemptKey),
        ),
      );
      see(run.probe, "each report with an id of its own", reused ?? listener.all[0], run.waitMs, !reused);
    },
  },
];
