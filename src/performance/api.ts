import type { Channel } from "../capacity/api.ts";
import type { Quality } from "./quality.ts";
import type { Report } from "./report.ts";

/** What a channel did, what that makes of it, and its health. */
export interface PerformanceView {
  channel: Channel;
  asOfMs: number;
  report: Report;
  quality: Quality;
}

export interface PerformanceApi {
  /** As it is stored now. */
  of(channel: Channel): Promise<PerformanceView>;
}
