import { setTimeout as pause } from "node:timers/promises";
import type { Platform } from "../platform.ts";
import { memoryOf, postgresMemory } from "./proc.ts";
import { scrape } from "./scrape.ts";

/** What is looked at again and again while a run goes on. */
export interface Sample {
  atMs: number;
  residentMiB: number;
  postgresMiB: number;
  eventLoopP99Ms: number;
  relayLagMs: number;
  /** Events that the read model is behind. */
  readModelLagEvents: number;
  heapMiB: number;
}

export interface Sampler {
  /** Ends; what was seen. */
  stop(): Promise<readonly Sample[]>;
}

/** A look costs the server some milliseconds of writing its metrics out, so not more often. */
const sampleEveryMs = 1_000;

export function startSampler(platform: Platform, everyMs = sampleEveryMs): Sampler {
  const samples: Sample[] = [];
  const stop = new AbortController();
  const take = async () => {
    const sample = await look(platform).catch(() => null); // a server that is overloaded may not answer this one
    if (sample) samples.push(sample);
  };
  const run = async () => {
    // The first look only begins the time that the second tells of.
    await scrape(platform.url).catch(() => undefined);
    while (!stop.signal.aborted) {
      await pause(everyMs, undefined, { signal: stop.signal }).catch(() => undefined);
      if (!stop.signal.aborted) await take();
    }
  };
  const running = run();
  return {
    async stop() {
      stop.abort();
      await running;
      if (samples.length === 0) await take(); // shorter than the time between two looks
      return samples;
    },
  };
}

async function look(platform: Platform): Promise<Sample> {
  const metrics = await scrape(platform.url);
  const postmaster = platform.postgresPid();
  return {
    atMs: performance.now(),
    residentMiB: memoryOf(platform.serverPid).residentMiB,
    postgresMiB: postmaster === undefined ? 0 : postgresMemory(postmaster),
    eventLoopP99Ms: metrics.sum("nodejs_eventloop_lag_p99_seconds") * 1_000,
    relayLagMs: metrics.sum("uoop_relay_lag_seconds") * 1_000,
    readModelLagEvents: metrics.sum("uoop_consumer_lag_events", { consumer: "read-model" }),
    heapMiB: metrics.sum("nodejs_heap_size_used_bytes") / 1_048_576,
  };
}

/** The value below which this share (0 to 1) of the values lies; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
