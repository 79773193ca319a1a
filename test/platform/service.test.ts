import assert from "node:assert/strict";
import { test } from "node:test";
import { type Service, startAll, stopAll } from "../../src/platform/service.ts";

function recorded(name: string, journal: string[], fails: { start?: boolean; stop?: boolean } = {}): Service {
  return {
    name,
    async start() {
      if (fails.start) throw new Error(`${name} can't start`);
      journal.push(`start ${name}`);
    },
    async stop() {
      journal.push(`stop ${name}`);
      if (fails.stop) throw new Error(`${name} can't stop`);
    },
  };
}

test("services start in order and stop in reverse", async () => {
  const journal: string[] = [];
  const services = ["a", "b", "c"].map((name) => recorded(name, journal));
  await startAll(services);
  await stopAll(services);
  assert.deepEqual(journal, ["start a", "start b", "start c", "stop c", "stop b", "stop a"]);
});

test("when one can't start, those that did are stopped and its error is told", async () => {
  const journal: string[] = [];
  const services = [recorded("a", journal), recorded("b", journal, { start: true }), recorded("c", journal)];
  await assert.rejects(startAll(services), /b can't start/);
  assert.deepEqual(journal, ["start a", "stop a"]);
});

test("one that can't stop keeps none of the others from stopping", async () => {
  const journal: string[] = [];
  const services = [
    recorded("a", journal),
    recorded("b", journal, { stop: true }),
    recorded("c", journal, { stop: true }),
  ];
  await assert.rejects(stopAll(services), /c can't stop/);
  assert.deepEqual(journal, ["stop c", "stop b", "stop a"]);
});
