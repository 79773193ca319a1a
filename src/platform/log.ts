import { type Logger, pino, stdSerializers } from "pino";

export type Log = Logger;

/** JSON lines on stderr (stdout is for what a person or a pipe reads). Errors go under `err` or `error`. */
export function createLog(level: string): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: stdSerializers.err, error: stdSerializers.err },
    },
    pino.destination({ fd: 2, sync: false }),
  );
}
