import type { OrderStatus } from "../orchestration/order-state.ts";
import type { Clock } from "../platform/clock.ts";
import { type DayProgress, percentileMs } from "./progress.ts";

/** Where the demo shows itself: a terminal (redrawn in place) or anything else (plain lines). */
export interface Screen {
  write(text: string): void;
  isTTY: boolean;
}

export interface LiveView {
  /** Shows the last state and stops. */
  close(): void;
}

const redrawMs = 150;
/** Elsewhere than on a terminal: a line for each tenth of the day. */
const plainSteps = 10;
const plainLookMs = 50;
const barWidth = 30;

const shownStatuses: readonly OrderStatus[] = [
  "confirmed",
  "preparing",
  "ready",
  "dispatched",
  "delivered",
  "undelivered",
  "failed",
];

/** Shows the day while it is played. */
export function openView(progress: DayProgress, screen: Screen, clock: Clock): LiveView {
  return screen.isTTY ? redrawn(progress, screen, clock) : plain(progress, screen, clock);
}

function repeat(clock: Clock, everyMs: number, work: () => void): () => void {
  let forget: () => void;
  const next = () => {
    forget = clock.after(everyMs, () => {
      work();
      next();
    });
  };
  next();
  return () => forget();
}

function redrawn(progress: DayProgress, screen: Screen, clock: Clock): LiveView {
  let height = 0;
  const draw = () => {
    const lines = panel(progress);
    // Up over what was drawn last, then each line anew, cleared to its end.
    const up = height > 0 ? `\u001b[${height}A` : "";
    screen.write(up + lines.map((line) => `\u001b[2K${line}\n`).join(""));
    height = lines.length;
  };
  draw();
  const stop = repeat(clock, redrawMs, draw);
  return {
    close() {
      stop();
      draw();
    },
  };
}

function plain(progress: DayProgress, screen: Screen, clock: Clock): LiveView {
  let shown = -1;
  const look = () => {
    const step = Math.floor(partOfDay(progress) * plainSteps);
    if (step <= shown) return;
    shown = step;
    screen.write(`${line(progress)}\n`);
  };
  look();
  const stop = repeat(clock, plainLookMs, look);
  return {
    close() {
      stop();
      screen.write(`${line(progress)}\n`);
    },
  };
}

const partOfDay = ({ minute, firstMinute, lastMinute }: DayProgress): number =>
  lastMinute <= firstMinute
    ? 1
    : Math.min(1, Math.max(0, (minute - firstMinute) / (lastMinute - firstMinute)));

const placedOf = (progress: DayProgress): number =>
  [...progress.byStatus.values()].reduce((sum, count) => sum + count, 0);

export const bar = (part: number, width: number = barWidth): string => {
  const full = Math.round(Math.min(1, Math.max(0, part)) * width);
  return "█".repeat(full) + "░".repeat(width - full);
};

export function clockTime(minute: number): string {
  const whole = Math.max(0, Math.floor(minute));
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
}

const latencyText = ({ latency }: DayProgress): string =>
  `p50 ${percentileMs(latency, 50).toFixed(1)} ms, p99 ${percentileMs(latency, 99).toFixed(1)} ms`;

/** The whole day in one line. */
function line(progress: DayProgress): string {
  const counts = shownStatuses
    .map((status) => [status, progress.byStatus.get(status) ?? 0] as const)
    .filter(([, count]) => count > 0)
    .map(([status, count]) => `${status} ${count}`);
  const load = progress.kitchens.map(({ recent, capacity }) => `${recent.length}/${capacity}`).join(" ");
  return `${progress.title} ${clockTime(progress.minute)}  placed ${placedOf(progress)}/${progress.totalOrders}  ${counts.join(", ")}  submit ${latencyText(progress)}  kitchens ${load}`;
}

/** The day as bars: the clock, orders by state, latency, each kitchen's load in this quarter hour. */
export function panel(progress: DayProgress): string[] {
  const { totalOrders, kitchens } = progress;
  const row = (name: string, part: number, text: string) => `  ${name.padEnd(12)}${bar(part)}  ${text}`;
  return [
    `${progress.title}  ${clockTime(progress.minute)}`,
    row("placed", placedOf(progress) / totalOrders, `${placedOf(progress)} of ${totalOrders}`),
    ...shownStatuses.map((status) => {
      const count = progress.byStatus.get(status) ?? 0;
      return row(status, count / totalOrders, String(count));
    }),
    `  submit to answer: ${latencyText(progress)}`,
    ...kitchens.map(({ name, recent, capacity, orders }) =>
      row(name, recent.length / capacity, `${recent.length} of ${capacity} a quarter hour, ${orders} in all`),
    ),
  ];
}
