import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { seeded } from "../mix.ts";
import type { FromSubscribers, ToSubscribers } from "./subscribers.ts";
import { createTally, type Tally } from "./tally.ts";

/** Subscribers' side of `uoop bench webhooks`: one process, each at a path of its own (`/0`, `/1` …). */
const count = Number(process.argv[2]);
const random = seeded(Number(process.argv[3]));
const tallies = Array.from({ length: count }, createTally);
let failRate = 0;
let dead: number | null = null;

function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const index = Number(request.url?.slice(1));
  const tally = tallies[index] as Tally;
  tally.got.requests += 1;
  if (index === dead) {
    tally.got.failed += 1;
    request.socket.destroy();
  } else if (random() < failRate) {
    tally.got.failed += 1;
    response.writeHead(500).end();
  } else {
    tally.take(body);
    response.writeHead(204).end();
  }
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => answer(request, response, Buffer.concat(chunks)));
  request.on("error", () => undefined);
});
server.keepAliveTimeout = 60_000;
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

const say = (message: FromSubscribers): void => void process.send?.(message);
process.on("message", (message: ToSubscribers) => {
  if ("behave" in message) ({ failRate, dead } = message.behave);
  else say({ got: tallies.map(({ got }) => got) });
});
process.on("disconnect", () => process.exit(0));
say({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
