import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { Agent } from "undici";
import { send } from "../../src/channels/transport.ts";
import { systemClock } from "../../src/platform/clock.ts";

/** A channel that answers at once, or never, whatever this thread does meanwhile. */
async function startChannel(): Promise<{ url: string; stop(): Promise<number> }> {
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
     const server = require("node:http").createServer((request, response) => {
       parentPort.postMessage("asked");
       if (request.url !== "/never") response.end("{}");
     });
     server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));`,
    { eval: true },
  );
  const [port] = (await once(worker, "message")) as [number];
  return { url: `http://127.0.0.1:${port}`, stop: () => worker.terminate() };
}

/** This thread does nothing else, as when the process is stopped or its garbage is collected. */
function standStill(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}

test("an answer that came while the process stood still beyond the timeout is read; one that never came is not waited for", async () => {
  const channel = await startChannel();
  const dispatcher = new Agent();
  try {
    const call = { method: "GET", headers: {}, timeoutMs: 300 } as const;
    const warm = await send(dispatcher, systemClock, { ...call, url: `${channel.url}/` });
    assert.equal(warm.kind, "response");
    const calls = ["/", "/never"].map((path) =>
      send(dispatcher, systemClock, { ...call, url: channel.url + path }),
    );
    // Until both are written to their sockets.
    for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    standStill(1_000);
    const [answered, never] = await Promise.all(calls);
    assert.equal(answered!.kind, "response");
    assert.deepEqual(never, { kind: "lost", detail: "no answer within 300 ms" });
  } finally {
    await dispatcher.destroy();
    await channel.stop();
  }
});
