import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { createSigner } from "../../src/channels/signature.ts";
import { defaultBehaviour } from "../../src/channels/simulator/behaviour.ts";
import { startSimulator } from "../../src/channels/simulator/simulator.ts";
import { log, put } from "./support.ts";

const doc = readFileSync(new URL("../../docs/channel-protocol.md", import.meta.url), "utf8");

test("the examples of docs/channel-protocol.md are answered as it says", async () => {
  const simulator = await startSimulator({ port: 0, log });
  after(() => simulator.close());
  const secret = /"secret": "(whsec_[^"]+)"/.exec(doc)![1]!;
  const channelId = /endpoint='.*\/channels\/(chn_\w+)'/.exec(doc)![1]!;
  await put(simulator.url, `/control/channels/${channelId}`, { secret, behaviour: { callbacks: "off" } });
  const examples = [...doc.matchAll(/signed_post "\$endpoint\/(\w+)" '([^']+)'/g)];
  const answers: unknown[] = [];
  for (const [, call, body] of examples) {
    const headers = createSigner(secret).sign("msg_doc", Date.now(), body!);
    const response = await fetch(`${simulator.url}/channels/${channelId}/${call}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: body!,
    });
    const answer = (await response.json()) as { status?: string; results?: { status: string }[] };
    answers.push([call, response.status, answer.status ?? answer.results?.map(({ status }) => status)]);
  }
  assert.deepEqual(answers, [
    ["book", 200, "booked"],
    ["cancel", 200, "cancelled"],
    ["batch", 200, ["cancelled", "cancelled"]],
  ]);
});

test("docs/channel-protocol.md names every knob of the simulator", () => {
  for (const knob of Object.keys(defaultBehaviour)) assert.ok(doc.includes(`\`${knob}\``), knob);
});
