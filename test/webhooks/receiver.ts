import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { PlatformEvent } from "../../src/relay/api.ts";

export interface Got {
  headers: IncomingHttpHeaders;
  body: string;
  events: readonly PlatformEvent[];
  status: number;
}

export interface Receiver {
  url: string;
  /** Every request, with what it was answered. */
  got: Got[];
  /** Ids of events that were answered 2xx, in the order in which they came, repeats included. */
  taken(): readonly PlatformEvent[];
  /** Resolves once `enough` holds; it is asked again after each request. */
  until(enough: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/** What to answer: a status, a status with headers, or never. */
export type Answer = number | { status: number; headers: Record<string, string> } | "never";

/** A subscriber: a real HTTP server that remembers what it got. */
export async function startReceiver(
  answer: (got: Omit<Got, "status">) => Answer = () => 200,
): Promise<Receiver> {
  const got: Got[] = [];
  let waiting: { enough: () => boolean; done: () => void }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const events = [JSON.parse(body)].flat() as PlatformEvent[];
      const decided = answer({ headers: request.headers, body, events });
      const { status, headers } =
        typeof decided === "object" ? decided : { status: decided === "never" ? 0 : decided, headers: {} };
      got.push({ headers: request.headers, body, events, status });
      if (status !== 0) response.writeHead(status, headers).end();
      for (const each of waiting.filter(({ enough }) => enough())) each.done();
      waiting = waiting.filter(({ enough }) => !enough());
    });
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    got,
    taken: () => got.filter(({ status }) => status >= 200 && status < 300).flatMap(({ events }) => events),
    until: (enough) =>
      enough() ? Promise.resolve() : new Promise((done) => waiting.push({ enough, done: () => done() })),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
