/** What one subscriber has got. */
export interface Got {
  requests: number;
  /** Requests that it answered with an error, or not at all. */
  failed: number;
  /** Different events that it took, and how often one came again. */
  events: number;
  repeats: number;
  /** First deliveries that came after a later version of the same subject. */
  outOfOrder: number;
  bytes: number;
}

export interface Tally {
  readonly got: Got;
  /** A body that was answered 2xx: one event or a list of them. */
  take(body: Buffer): void;
}

/** Ids are `<subject>.<version>.<type>[.<leg>]`; found by a scan, since parsing all of it would cost what is measured. */
const idsOf = /"specversion":"1\.0","id":"(\w+)\.(\d+)\.([^"]+)"/g;

export function createTally(): Tally {
  const got: Got = { requests: 0, failed: 0, events: 0, repeats: 0, outOfOrder: 0, bytes: 0 };
  const seen = new Set<string>();
  const versions = new Map<string, number>();
  return {
    got,
    take(body) {
      got.bytes += body.length;
      for (const [, subject = "", versionText = "", type = ""] of body.toString("latin1").matchAll(idsOf)) {
        const key = `${subject}.${versionText}.${type}`;
        if (seen.has(key)) {
          got.repeats += 1;
          continue;
        }
        seen.add(key);
        got.events += 1;
        const version = Number(versionText);
        const highest = versions.get(subject) ?? 0;
        if (version < highest) got.outOfOrder += 1;
        else versions.set(subject, version);
      }
    },
  };
}
