import type { Difference } from "./compare.ts";

/** A difference between a channel's bookings and ours, as it was found. */
export interface DifferenceView extends Difference {
  /** `dif_…` */
  id: string;
  channelId: string;
  /** Member of a network. */
  partner?: string;
  firstSeenAt: string;
  lastSeenAt: string;
  /** When it was put right, or was not there any more; null: people have to look. */
  settledAt: string | null;
}

export interface DifferenceFilter {
  channelId?: string;
  /** Those that are settled, too. */
  settled: boolean;
  /** Differences with ids below this one: lists go from new to old. */
  beforeId?: string;
  limit: number;
}

export interface Reconciliation {
  differences(filter: DifferenceFilter): Promise<readonly DifferenceView[]>;
}
