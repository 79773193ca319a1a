import type { HealthSign } from "../capacity/api.ts";
import type { Report } from "./report.ts";

type Judged = Pick<HealthSign, "sign" | "detail">;

/** A sign begins at `from` and ends below `to`: what lies between leaves it as it is, so that a share that wavers does not flap. */
interface Band {
  /** So many are needed to begin it; below a quarter of them what is left is too old to go on. */
  least: number;
  from: number;
  to: number;
}

const errors: Band = { least: 20, from: 0.25, to: 0.1 };
const lateness: Band = { least: 10, from: 0.4, to: 0.2 };

/** What speaks against a channel's health, beside its circuits: calls that fail, orders that are late. Pure; `present`: what did until now. */
export function signsOf(
  { recent: { calls, failed, onTime, fellLate } }: Pick<Report, "recent">,
  present: readonly Pick<HealthSign, "sign">[],
): readonly Judged[] {
  const has = (sign: HealthSign["sign"]) => present.some((one) => one.sign === sign);
  const ended = onTime + fellLate;
  const judged: Judged[] = [];
  if (holds(errors, failed, calls, has("errors")))
    judged.push({ sign: "errors", detail: `${percent(failed, calls)} % of its calls of late failed` });
  if (holds(lateness, fellLate, ended, has("lateness")))
    judged.push({
      sign: "lateness",
      detail: `${percent(fellLate, ended)} % of its orders of late missed their window`,
    });
  return judged;
}

function holds({ least, from, to }: Band, bad: number, all: number, isPresent: boolean): boolean {
  const share = all === 0 ? 0 : bad / all;
  return isPresent ? all >= least / 4 && share >= to : all >= least && share >= from;
}

const percent = (part: number, whole: number): number => Math.round((100 * part) / whole);
