import { connect, type Socket } from "node:net";

/** What a connection tells whoever uses it. */
export interface ConnectionEvents {
  /** `matches`: how often the needle was in the body. */
  onAnswer(connection: Connection, status: number, matches: number): void;
  /** The connection is gone; `waiting` says whether a request was under way on it. */
  onLost(connection: Connection, waiting: boolean): void;
}

/** One keep-alive connection with one request under way at most. */
export interface Connection {
  /** Sends a whole request (ASCII, or bytes that fit into Latin-1). */
  send(request: string): void;
  /** For whoever keeps track of requests: when the one under way was due and sent, and what it was. */
  dueAt: number;
  sentAt: number;
  kind: number;
  close(): void;
}

const receiveBytes = 16_384;
const headEnd = Buffer.from("\r\n\r\n");

/**
 * A raw HTTP/1.1 client: the load generator shares two cores with what it measures, so it parses the status line and
 * content-length and nothing else (about a third of what fetch costs). Every answer must carry a content-length.
 */
export function openConnection(
  to: { host: string; port: number; needle?: string },
  events: ConnectionEvents,
): Connection {
  const reader = createReader(to.needle);
  let waiting = false;
  let closed = false;

  const receive = (bytes: Buffer) => {
    let rest = bytes;
    while (rest.length > 0) {
      const used = reader.read(rest);
      rest = rest.subarray(used);
      if (!reader.whole) continue;
      waiting = false;
      const { status, matches } = reader;
      reader.next();
      events.onAnswer(connection, status, matches);
    }
  };

  const socket: Socket = connect({
    host: to.host,
    port: to.port,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(receiveBytes),
      callback(count, buffer) {
        receive((buffer as Buffer).subarray(0, count));
        return true;
      },
    },
  });
  socket.on("error", () => undefined); // "close" follows
  socket.once("close", () => {
    if (closed) return;
    closed = true;
    events.onLost(connection, waiting);
  });

  const connection: Connection = {
    dueAt: 0,
    sentAt: 0,
    kind: 0,
    send(request) {
      waiting = true;
      socket.write(request, "latin1");
    },
    close() {
      closed = true;
      socket.destroy();
    },
  };
  return connection;
}

/** Reads answers from a stream of bytes. */
interface Reader {
  /** Takes in some or all of the bytes; stops after an answer's last. Returns how many it used. */
  read(bytes: Buffer): number;
  readonly whole: boolean;
  readonly status: number;
  readonly matches: number;
  next(): void;
}

/** Exported for its test. */
export function createReader(needle?: string): Reader {
  const wanted = needle === undefined ? null : Buffer.from(needle);
  let head: Buffer | null = null;
  let bodyLeft = -1; // -1: the head is not whole yet
  let tail = "";
  let status = 0;
  let matches = 0;

  function readHead(bytes: Buffer): number {
    const before = head?.length ?? 0;
    const all = head === null ? bytes : Buffer.concat([head, bytes]);
    const end = all.indexOf(headEnd);
    if (end < 0) {
      head = Buffer.from(all);
      return bytes.length;
    }
    const text = all.toString("latin1", 0, end);
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
    if (!text.startsWith("HTTP/1.1 ") || length === undefined)
      throw new Error(`This answer can't be read: ${text.slice(0, 300)}`);
    status = Number(text.slice(9, 12));
    bodyLeft = Number(length);
    head = null;
    return end + headEnd.length - before;
  }

  function countMatches(body: Buffer): void {
    if (wanted === null) return;
    const text = tail + body.toString("latin1");
    const word = wanted.toString("latin1");
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) matches += 1;
    const last = text.lastIndexOf(word);
    tail = text.slice(Math.max(last < 0 ? 0 : last + word.length, text.length - word.length + 1));
  }

  return {
    read(bytes) {
      if (bodyLeft < 0) {
        const used = readHead(bytes);
        if (bodyLeft < 0) return used;
        return used + this.read(bytes.subarray(used));
      }
      const used = Math.min(bodyLeft, bytes.length);
      if (used > 0) countMatches(bytes.subarray(0, used));
      bodyLeft -= used;
      return used;
    },
    get whole() {
      return bodyLeft === 0;
    },
    get status() {
      return status;
    },
    get matches() {
      return matches;
    },
    next() {
      bodyLeft = -1;
      tail = "";
      matches = 0;
    },
  };
}
