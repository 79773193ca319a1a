import type { Progress as RunProgress, RunResult } from "../load/plan.ts";

/** Says how far a bench is: one live line on a terminal, a line per phase elsewhere. */
export interface Progress {
  phase(name: string): void;
  update(at: RunProgress): void;
  done(name: string, result: RunResult): void;
  /** Something that is not a run of the load. */
  note(text: string): void;
  /** Changes all the time: shown on a terminal only. */
  live(text: string): void;
  end(): void;
}

const whole = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Progress goes to `out` (standard error: standard output is for the report). */
export function createProgress(out: { isTTY?: boolean; write(text: string): unknown }): Progress {
  const startedAt = performance.now();
  let name = "";
  let last: { at: number; confirmed: number; answered: number } | undefined;

  const elapsed = () => `${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)} s`;
  const live = (text: string) => {
    if (out.isTTY) out.write(`\r\x1b[2K${elapsed()}  ${text}`);
  };
  const line = (text: string) => {
    out.write(`${out.isTTY ? "\r\x1b[2K" : ""}${elapsed()}  ${text}\n`);
  };

  return {
    phase(next) {
      name = next;
      last = undefined;
      live(next);
    },
    update({ answered, confirmed, waiting }) {
      const now = { at: performance.now(), confirmed, answered };
      const before = last ?? { at: now.at - 500, confirmed: 0, answered: 0 };
      last = now;
      const perSecond = ((now.answered - before.answered) * 1_000) / Math.max(1, now.at - before.at);
      live(`${name}: ${whole(perSecond)}/s now, ${whole(answered)} answered, ${whole(waiting)} waiting`);
    },
    done(finished, { confirmed, answered, measuredMs, latency }) {
      const count = confirmed > 0 ? confirmed : answered;
      line(
        `${finished}: ${whole((count * 1_000) / measuredMs)}/s, p50 ${latency.p50Ms.toFixed(1)} ms, p99 ${latency.p99Ms.toFixed(1)} ms`,
      );
    },
    live,
    note: (text) => (out.isTTY ? live(text) : line(text)),
    end() {
      if (out.isTTY) out.write("\r\x1b[2K");
    },
  };
}
