import { type Logger, pino } from "pino";

export type Log = Logger;

/** JSON lines on stderr (stdout is for what a person or a pipe reads). */
export function createLog(level: string): Log {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: false }),
  );
}
