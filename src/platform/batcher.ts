import { UoopError } from "./errors.ts";
import { createFifo, type Queue } from "./fair-queue.ts";

export interface BatcherOptions<In, Out> {
  /** Does the whole batch; answers in input order. */
  run(batch: readonly In[]): Promise<readonly Out[]>;
  /** Items taken into one run at most; the rest wait for the next. */
  maxBatchItems: number;
  /** Runs under way at once. */
  maxRuns: number;
  /** Items waiting at most; beyond it `submit` refuses with `overloaded` (503), at once. */
  maxQueuedItems: number;
  /** Who is served next; first come, first served by default. */
  queue?: Queue<Waiting<In, Out>>;
}

export interface Batcher<In, Out> {
  submit(item: In): Promise<Out>;
  /** Resolves once nothing is queued or running. */
  drain(): Promise<void>;
  readonly queued: number;
}

/** An item and who waits for its answer. */
export interface Waiting<In, Out> {
  item: In;
  resolve: (out: Out) => void;
  reject: (error: unknown) => void;
}

/**
 * Self-clocking group commit: what arrives while the previous run is in flight is the next batch. No timer: an idle
 * batcher runs one item at once (after the current turn of the event loop, so that a burst read from one socket poll
 * is one batch).
 */
export function createBatcher<In, Out>(options: BatcherOptions<In, Out>): Batcher<In, Out> {
  const queue = options.queue ?? createFifo<Waiting<In, Out>>();
  let running = 0;
  let scheduled = false;
  let idleWaiters: (() => void)[] = [];

  const pump = () => {
    scheduled = false;
    while (running < options.maxRuns && queue.size > 0) {
      const batch = queue.take(options.maxBatchItems);
      running += 1;
      void execute(batch);
    }
    if (running === 0 && queue.size === 0) {
      for (const wake of idleWaiters) wake();
      idleWaiters = [];
    }
  };

  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(pump);
  };

  async function execute(batch: readonly Waiting<In, Out>[]): Promise<void> {
    try {
      const outs = await options.run(batch.map((waiting) => waiting.item));
      if (outs.length !== batch.length) throw new Error(`batch of ${batch.length} answered ${outs.length}`);
      batch.forEach((waiting, index) => {
        waiting.resolve(outs[index]!);
      });
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      running -= 1;
      schedule();
    }
  }

  return {
    submit(item) {
      if (queue.size >= options.maxQueuedItems) {
        return Promise.reject(new UoopError("overloaded", `${queue.size} items are waiting already`));
      }
      return new Promise((resolve, reject) => {
        queue.push({ item, resolve, reject });
        schedule();
      });
    },
    drain() {
      return new Promise((resolve) => {
        idleWaiters.push(resolve);
        schedule();
      });
    },
    get queued() {
      return queue.size;
    },
  };
}
