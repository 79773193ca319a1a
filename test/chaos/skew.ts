/**
 * Loaded before the program (`node --import`) by chaos runs with `--skew`: this process's clock is off by CHAOS_SKEW_MS, and SIGUSR2
 * makes it jump to as much on the other side. Timers are not touched: they don't follow the wall clock.
 */
let skewMs = Number(process.env.CHAOS_SKEW_MS ?? 0);
const TrueDate = Date;
const trueNow = Date.now.bind(Date);

class SkewedDate extends TrueDate {
  constructor(...given: [] | [number]) {
    if (given.length === 0) super(SkewedDate.now());
    else super(...given);
  }

  static override now(): number {
    return trueNow() + skewMs;
  }
}

globalThis.Date = SkewedDate as unknown as DateConstructor;
process.on("SIGUSR2", () => {
  skewMs = -skewMs;
});
