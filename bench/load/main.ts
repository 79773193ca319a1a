/**
 * The load generator: a process of its own, so that its CPU time is told apart. Takes plans over IPC and answers with
 * results; several runs may go on at once (reads beside writes).
 */
import { type LoopEvents, runClosedLoop } from "./closed-loop.ts";
import { runOpenLoop } from "./open-loop.ts";
import type { FromLoad, RunPlan, ToLoad } from "./plan.ts";
import { createSource } from "./requests.ts";
import { createTally } from "./tally.ts";

const progressEveryMs = 500;

const say = (message: FromLoad): void => void process.send?.(message);

async function run(plan: RunPlan): Promise<void> {
  const source = createSource(plan);
  const tally = createTally(plan, source);
  let waiting = () => 0;
  const events: LoopEvents = {
    onBegan: () => say({ began: plan.id }),
    onEnded: () => say({ ended: plan.id }),
    onWaiting(count) {
      waiting = count;
    },
  };
  const { id } = plan;
  const timer = setInterval(() => {
    const { answered, confirmed } = tally;
    say({ progress: { id, answered, confirmed, waiting: waiting() } });
  }, progressEveryMs);
  try {
    await (plan.pace.kind === "closed"
      ? runClosedLoop(plan, plan.pace, source, tally, events)
      : runOpenLoop(plan, plan.pace, source, tally, events));
    say({ result: tally.result() });
  } finally {
    clearInterval(timer);
  }
}

process.on("message", (message: ToLoad) => {
  if ("stop" in message) return process.disconnect();
  run(message.run).catch((error: unknown) => say({ failed: message.run.id, why: String(error) }));
});
process.on("disconnect", () => process.exit(0));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined); // whoever started us says when
say({ ready: true });
