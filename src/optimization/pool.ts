import { Piscina } from "piscina";
import { type PricedSolution, type SolveSettings, solveAssignment } from "./assign/solve.ts";
import type { AssignmentProblem } from "./problem.ts";
import type { CourierPlan, CourierProblem } from "./routes/courier-plan.ts";
import { type AssignTask, type CouriersTask, sharedNow } from "./worker.ts";

export interface PoolOptions {
  threads: number;
  /** An answer that is this late after the deadline is not waited for. */
  graceMs?: number;
  /** A worker that is this late hangs: it is ended and replaced. (Longer, for a new one on a busy machine is late too.) */
  hangMs?: number;
  /** A worker that needs more is ended by V8 and replaced. */
  maxHeapMegabytes?: number;
  /** Solves that wait for a thread; more are answered by the fallback at once. */
  maxWaiting?: number;
  /** Told of each solve that the fallback had to answer. */
  failed?: (error: Error) => void;
  /** Exports a function for each kind of solve. Ours, unless a test has a worse one. */
  workerFile?: URL;
}

/** Solvers in worker threads, kept warm: never on the thread that serves requests. */
export interface SolverPool {
  /** Starts the threads and has each solve a small problem, so that its code is compiled. */
  start(): Promise<void>;
  // Always answer, soon after the deadline at the latest: by the fallback, made here, where a worker hung, died or had no turn.
  /** Falls back on greedy. */
  assign(problem: AssignmentProblem, settings: Omit<SolveSettings, "now">): Promise<PricedSolution>;
  /** Falls back on the construction alone. */
  couriers(problem: CourierProblem, settings: { deadlineMs: number; seed: number }): Promise<CourierPlan>;
  stop(): Promise<void>;
}

/** One solve: which function of the worker gets what, and the answer without it. */
interface Job<Answer> {
  name: "assign" | "couriers";
  task: AssignTask | CouriersTask;
  transferList: ArrayBuffer[];
  deadlineMs: number;
  fallback: () => Answer | Promise<Answer>;
}

/** Far off: a thread takes seconds to start on a busy machine. */
const warmUpMs = 60_000;
const warmUpRounds = 20;

export function createSolverPool({
  threads,
  graceMs = 250,
  hangMs = 5_000,
  maxHeapMegabytes = 1_024,
  maxWaiting = 16,
  failed = () => undefined,
  workerFile = new URL("./worker.ts", import.meta.url),
}: PoolOptions): SolverPool {
  const pool = new Piscina({
    filename: workerFile.href,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMegabytes },
  });
  pool.on("error", () => undefined); // of a worker between two solves; the pool has replaced it

  let underWay = 0;
  const run = async <Answer>({ name, task, transferList, deadlineMs }: Job<Answer>): Promise<Answer> => {
    if (underWay >= threads + maxWaiting) throw new Error(`${maxWaiting} solves wait for a thread already.`);
    const hangs = new AbortController(); // aborting ends the worker's thread, even one in an endless loop
    const timer = setTimeout(() => hangs.abort(), deadlineMs + hangMs);
    underWay += 1;
    try {
      return (await pool.run(task, { name, signal: hangs.signal, transferList })) as Answer;
    } finally {
      clearTimeout(timer);
      underWay -= 1;
    }
  };
  const solve = async <Answer>(job: Job<Answer>): Promise<Answer> => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error("The solver is late.")), job.deadlineMs + graceMs);
    try {
      return await Promise.race([run(job), late.promise]);
    } catch (error) {
      failed(error as Error);
      return await job.fallback();
    } finally {
      clearTimeout(timer);
    }
  };
  const assign: SolverPool["assign"] = (problem, settings) => solve(assignJob(problem, settings));
  return {
    assign,
    couriers: (problem, settings) => solve(couriersJob(problem, settings)),
    async start() {
      const problem = warmUpProblem();
      await Promise.all(
        Array.from({ length: threads }, () =>
          assign(problem, { deadlineMs: warmUpMs, maxRounds: warmUpRounds }),
        ),
      );
    },
    stop: () => pool.destroy(),
  };
}

function assignJob(
  given: AssignmentProblem,
  { deadlineMs, ...settings }: Omit<SolveSettings, "now">,
): Job<PricedSolution> {
  const problem = copyOf(given);
  return {
    name: "assign",
    task: { ...settings, problem, endsAt: sharedNow() + deadlineMs },
    transferList: [problem.cost.buffer, problem.use.buffer, problem.capacity.buffer] as ArrayBuffer[],
    deadlineMs,
    fallback: () => solveAssignment(given, { deadlineMs: 0, now: sharedNow }),
  };
}

const couriersJob = (
  problem: CourierProblem,
  { deadlineMs, seed }: { deadlineMs: number; seed: number },
): Job<CourierPlan> => ({
  name: "couriers",
  task: { problem, seed, endsAt: sharedNow() + deadlineMs },
  transferList: [],
  deadlineMs,
  async fallback() {
    const { planCouriers } = await import("./routes/courier-plan.ts");
    return planCouriers(problem, { deadlineMs: 0, seed, now: sharedNow });
  },
});

/** What is handed over is gone here, and greedy may need it. */
const copyOf = (problem: AssignmentProblem): AssignmentProblem => ({
  ...problem,
  cost: problem.cost.slice(),
  use: problem.use.slice(),
  capacity: problem.capacity.slice(),
});

/** 1,500 orders along a line of 15 channels, with room for nine tenths of them. */
function warmUpProblem(): AssignmentProblem {
  const orders = 1_500;
  const channels = 15;
  return {
    orders,
    channels,
    resources: 2,
    cost: Float64Array.from({ length: orders * channels }, (_, at) => {
      const order = Math.trunc(at / channels);
      return Math.round(100 + Math.abs(((order * 7_919) % orders) / 100 - (at % channels)) * 300);
    }),
    use: Int32Array.from({ length: orders * 2 }, (_, at) => 1 + ((at * 31) % 3)),
    orderStride: 2,
    channelStride: 0,
    capacity: new Int32Array(channels * 2).fill(Math.round((2 * 0.9 * orders) / channels)),
    unservedCost: 20_000,
  };
}
