import type { Metrics } from "../platform/metrics.ts";
import type { Sent } from "./send.ts";

/** Webhooks that have metrics of their own in a process; what comes after them is counted together as `other`. */
const maxOwnLabels = 100;

/** The metrics of one webhook. */
export interface Measures {
  request(sent: Sent, events: number, retried: number): void;
  dead(events: number): void;
  paused(): void;
  /** How far it is behind, and what waits to be tried again. */
  lag(events: number, pending: number): void;
  /** This process does not deliver to it any more. */
  end(): void;
}

/** Gives each webhook its metrics. A label once given stays (counters must not go back), so there are never more than the limit. */
export function createMeasures(metrics: Metrics): (id: string) => Measures {
  const given = new Set<string>();
  return (id) => {
    if (given.size < maxOwnLabels) given.add(id);
    const own = given.has(id);
    const webhook = own ? id : "other";
    // Looking labels up costs more than counting.
    const of = (outcome: string) => ({
      seconds: metrics.webhookSeconds.labels({ webhook, outcome }),
      events: metrics.webhookEvents.labels({ webhook, outcome }),
    });
    const [delivered, failed] = [of("delivered"), of("failed")];
    return {
      request(sent, events, retried) {
        const outcome = sent.ok ? delivered : failed;
        outcome.seconds.observe(sent.ms / 1_000);
        outcome.events.inc(events);
        if (retried > 0) metrics.webhookRetries.inc({ webhook }, retried);
      },
      dead(events) {
        metrics.webhookEvents.inc({ webhook, outcome: "dead" }, events);
        metrics.deadLetters.inc({ subscriber: webhook }, events);
      },
      paused: () => metrics.webhooksPaused.inc(),
      lag(events, pending) {
        if (!own) return;
        metrics.webhookLag.set({ webhook }, events);
        metrics.webhookPending.set({ webhook }, pending);
      },
      end() {
        metrics.webhookLag.remove({ webhook });
        metrics.webhookPending.remove({ webhook });
      },
    };
  };
}
