import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, type BenchReport, reportHead } from "./bench.ts";
import { type Children, createChildren, dataFolderOf } from "./children.ts";
import { must } from "./http.ts";
import { quantile } from "./measure/sampler.ts";
import { startProgram } from "./platform.ts";
import { createProgress } from "./report/progress.ts";
import { millis, roundedAll, table } from "./report/table.ts";

const thorough = 7;
const quick = 1;
const hourMs = 3_600_000;

interface Start {
  /** From the command to the line that says where it listens. */
  listeningMs: number;
  /** From the command to the answer 201. */
  confirmedMs: number;
  stopMs: number;
}

/**
 * From the command to the first order confirmed, as a user starts it (example network, simulator), on a data folder that
 * is there already. Files are in the system's cache; the very first start, which makes the folder, is told apart.
 */
export async function benchStart(options: BenchOptions): Promise<BenchReport> {
  const head = reportHead("start");
  const progress = createProgress(options.out);
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), "uoop-bench-start-"));
  const children = createChildren();
  children.addFolder(folder);
  try {
    progress.note("first start: the data folder is made");
    const first = await startOnce(children, folder);
    const starts: Start[] = [];
    for (let round = 1; round <= (options.quick ? quick : thorough); round += 1) {
      const one = await startOnce(children, folder);
      starts.push(one);
      progress.note(`start ${round}: confirmed after ${Math.round(one.confirmedMs)} ms`);
    }
    const middle = (of: (start: Start) => number) => quantile(starts.map(of), 0.5);
    const confirmedMs = middle((start) => start.confirmedMs);
    const listeningMs = middle((start) => start.listeningMs);
    const stopMs = middle((start) => start.stopMs);
    const slowestMs = Math.max(...starts.map((start) => start.confirmedMs));
    return {
      ...head,
      ok: true,
      wrong: [],
      lines: table([
        ["start to first order confirmed, median", `${millis(confirmedMs)} ms`],
        ["  slowest of them", `${millis(slowestMs)} ms`],
        ["  of it until it listens", `${millis(listeningMs)} ms`],
        ["stop, median", `${millis(stopMs)} ms`],
        ["the very first start, which makes the data folder", `${millis(first.confirmedMs)} ms`],
      ]),
      json: roundedAll({ confirmedMs, listeningMs, slowestMs, stopMs, first, starts, ...head }),
    };
  } finally {
    progress.end();
    await rm(folder, { recursive: true, force: true });
    children.forgetFolder(folder);
  }
}

async function startOnce(children: Children, folder: string): Promise<Start> {
  const dataFolder = dataFolderOf(folder);
  const startedAt = performance.now();
  const program = await startProgram(
    children,
    { args: ["start"], env: { DATA_DIR: dataFolder, PORT: "0", SIMULATOR_PORT: "0", EXAMPLE_NETWORK: "on" } },
    /^UOOP is running at (\S+)/,
    join(folder, "server.log"),
  );
  const listeningMs = performance.now() - startedAt;
  const key = readFileSync(join(dataFolder, "api-key"), "utf8").trim();
  const order = await must<{ status: string }>("POST", `${program.said}/v1/orders`, { key, body: anOrder() });
  if (order.status !== "confirmed") throw new Error(`The first order is ${order.status}, not confirmed.`);
  const confirmedMs = performance.now() - startedAt;
  const stoppingAt = performance.now();
  await program.stop();
  return { listeningMs, confirmedMs, stopMs: performance.now() - stoppingAt };
}

/** Two hours from now at the marina, for a kitchen of our own: the example network has room. */
function anOrder(): object {
  const start = Date.now() - (Date.now() % hourMs) + 2 * hourMs;
  return {
    customerId: "cus_first",
    currency: "AED",
    items: [{ sku: "meal-123", quantity: 1, unitPriceMinor: 4_500 }],
    delivery: {
      location: { lat: 25.0772, lng: 55.1405 },
      window: { start: new Date(start).toISOString(), end: new Date(start + 2 * hourMs).toISOString() },
    },
    routing: { channelTypes: ["internal_kitchen"] },
  };
}
