import { type BenchOptions, type BenchReport, onStage, type ReportHead, type Stage } from "./bench.ts";
import type { Pace } from "./load/plan.ts";
import type { Books } from "./measure/database.ts";
import type { Phase } from "./measure/phase.ts";
import { atShare, createPhases, openConnections, reportOf } from "./phases.ts";
import { phaseHead, phaseJson, phaseRow } from "./report/orders-report.ts";
import { percent, table, whole } from "./report/table.ts";

const steadyShare = 0.6;
/** The time is cut into so many parts, without a pause between them; the first is not judged: caches fill. */
const parts = 6;
/** From the second part to the last, a figure may grow by this share and still be flat. */
const flatShare = 0.15;
/** Growth below this is noise of garbage collection. */
const flatMiB = 60;
const flatMs = 20;

export interface SoakOptions {
  minutes?: number;
  /** Orders a second; default: 60 % of the best closed loop. */
  rate?: number;
}

interface Part {
  phase: Phase;
  orders: number;
  bytes: number;
}

/** Minutes at a steady rate: memory, latency, cost and bytes an order must not grow. */
export const benchSoak = (options: BenchOptions & SoakOptions): Promise<BenchReport> =>
  onStage("soak", options, { channels: 12 }, (stage, head) => measureSoak(stage, head, options));

/** The same on a stage that is there. */
export async function measureSoak(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions & SoakOptions,
): Promise<BenchReport> {
  const phases = createPhases(stage);
  const top = await phases.calibrate(options.quick ? 500 : 10_000, options.quick);
  const pace: Pace =
    options.rate === undefined
      ? atShare(top, steadyShare)
      : { kind: "open", perSecond: options.rate, connections: openConnections };
  const wholeMs = options.minutes === undefined ? options.seconds * 1_000 : options.minutes * 60_000;
  const measured: Part[] = [];
  let last = await sizeNow(stage.books);
  for (let part = 1; part <= parts; part += 1) {
    const phase = await phases.orders(`part ${part} of ${parts}, ${pace.perSecond}/s`, pace, {
      measureMs: wholeMs / parts,
      rested: part === 1,
    });
    const now = await sizeNow(stage.books);
    measured.push({ phase, orders: now.orders - last.orders, bytes: now.bytes - last.bytes });
    last = now;
  }
  const growth = growthOf(measured);
  return reportOf(stage, head, {
    lines: [
      ...table([
        [...phaseHead, "server MiB", "bytes an order"],
        ...measured.map((part) => [
          ...phaseRow(part.phase),
          whole(part.phase.rssMiB),
          whole(bytesPerOrder(part)),
        ]),
      ]),
      "",
      `from the second part to the last: ${growth.map(({ name, share }) => `${name} ${share >= 0 ? "+" : ""}${percent(share)}`).join(", ")}`,
    ],
    json: {
      perSecond: pace.perSecond,
      minutes: wholeMs / 60_000,
      growth: Object.fromEntries(growth.map(({ name, share }) => [name, share])),
      parts: measured.map((part) => ({ ...phaseJson(part.phase), bytesPerOrder: bytesPerOrder(part) })),
    },
    wrong: options.quick
      ? []
      : growth.filter(({ flat }) => !flat).map(({ name, share }) => `${name} grew by ${percent(share)}`),
  });
}

const bytesPerOrder = ({ bytes, orders }: Part): number => bytes / Math.max(1, orders);

async function sizeNow(books: Books): Promise<{ orders: number; bytes: number }> {
  const sizes = await books.tableSizes();
  const [row] = await books.query<{ orders: number }>("select count(*)::int as orders from orders");
  return { orders: row!.orders, bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0) };
}

interface Growth {
  name: string;
  /** Of the second part's figure. */
  share: number;
  flat: boolean;
}

function growthOf(measured: readonly Part[]): readonly Growth[] {
  const [from, to] = [measured[1]!, measured.at(-1)!];
  const grown = (name: string, of: (part: Part) => number, noise: number): Growth => {
    const [before, after] = [of(from), of(to)];
    const share = before === 0 ? 0 : after / before - 1;
    return { name, share, flat: share <= flatShare || after - before <= noise };
  };
  return [
    grown("memory", ({ phase }) => phase.rssMiB, flatMiB),
    grown("p99", ({ phase }) => phase.run.latency.p99Ms, flatMs),
    grown("server CPU an order", ({ phase }) => phase.perOrder.serverMicros, 0),
    grown("PostgreSQL CPU an order", ({ phase }) => phase.perOrder.postgresMicros, 0),
    grown("relay lag", ({ phase }) => phase.relayLagP99Ms, 1_000),
    grown("bytes an order", bytesPerOrder, 0),
  ];
}
