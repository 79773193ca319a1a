import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Signer } from "../channels/signature.ts";
import type { Clock } from "../platform/clock.ts";

/** A report as it came in. */
export interface Heard {
  path: string;
  verified: boolean;
  body: string;
  callbackId: unknown;
  attemptKey: unknown;
  kind: unknown;
  at: unknown;
}

/** Plays the platform's side of callbacks: `POST /v1/channels/{id}/callbacks`. */
export interface Listener {
  url: string;
  all: readonly Heard[];
  /** The first report that this is true of, from all so far and those to come; undefined when none came in time. */
  heard(matches: (report: Heard) => boolean, waitMs: number): Promise<Heard | undefined>;
  close(): Promise<void>;
}

const maxBodyCharacters = 100_000;

/** Listens at this port (0: a free one). The first report is answered 503, to see whether it comes again. */
export async function listenForCallbacks(port: number, signer: Signer, clock: Clock): Promise<Listener> {
  const all: Heard[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
      if (body.length > maxBodyCharacters) request.destroy();
    });
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      if (request.method !== "POST") return response.writeHead(404).end("{}");
      const { callbackId, attemptKey, kind, at } = parse(body);
      const verified = signer.verifies(request.headers, body);
      const known = all.some((report) => report.verified && report.callbackId === callbackId);
      const again = verified && all.every((report) => !report.verified);
      all.push({ path, verified, body, callbackId, attemptKey, kind, at });
      for (const wake of waiting) wake();
      if (!verified) return response.writeHead(401).end('{"code":"signature_invalid"}');
      if (again) return response.writeHead(503, { "retry-after": "0" }).end('{"code":"overloaded"}');
      return response.end(JSON.stringify({ result: known ? "duplicate" : "applied", detail: "certify" }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    all,
    heard: (matches, waitMs) =>
      new Promise((resolve) => {
        const end = (report: Heard | undefined) => {
          waiting.delete(look);
          forget();
          resolve(report);
        };
        const look = () => {
          const report = all.find(matches);
          if (report) end(report);
        };
        const forget = clock.after(waitMs, () => end(undefined));
        waiting.add(look);
        look();
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function parse(body: string): Record<string, unknown> {
  try {
    return (JSON.parse(body) as Record<string, unknown> | null) ?? {};
  } catch {
    return {};
  }
}
