import type { Listener } from "./callbacks.ts";
import type { Probe } from "./probe.ts";

/** What the checks of one run share. */
export interface Run {
  probe: Probe;
  /** Absent without `--listen`. */
  listener: Listener | undefined;
  /** How long a report is waited for. */
  waitMs: number;
  /** The booking whose reports are listened for. */
  reportedKey: string | undefined;
  /** As read at the start; batches are not offered without it. */
  maxBatch: number;
}

/** One rule of docs/channel-protocol.md and how to see whether it is kept. */
export interface Rule {
  id: string;
  rule: string;
  /** Heading of docs/channel-protocol.md. */
  section: string;
  run(run: Run): Promise<void>;
}
