import type { Clock } from "./clock.ts";

/** Does `work` again and again, `delayMs` after each end; an error is told and does not stop it. Returns how to stop. */
export function repeatEvery(
  clock: Clock,
  delayMs: number,
  work: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => void {
  let stopped = false;
  let forget: () => void = () => undefined;
  const next = () => {
    if (stopped) return;
    forget = clock.after(delayMs, () => {
      work().catch(onError).finally(next);
    });
  };
  next();
  return () => {
    stopped = true;
    forget();
  };
}
