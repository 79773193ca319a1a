import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Static } from "typebox";
import type { Channel } from "../../src/capacity/api.ts";
import type { channelShape } from "../../src/gateway/schemas-channels.ts";
import type { orderShape } from "../../src/gateway/schemas-orders.ts";
import type { OrderView, PersonalData } from "../../src/orchestration/order.ts";
import { problems } from "../../src/platform/errors.ts";
import type { Document } from "./arbitrary.ts";
import { clientOf } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

const root = join(import.meta.dirname, "..", "..");

let world: Awaited<ReturnType<typeof startFakeWorld>>;
let document: Document & { openapi: string };

before(async () => {
  world = await startFakeWorld();
  const { body } = await clientOf(world.url, keyOf.all!)<typeof document>("GET", "/openapi.json");
  document = body;
});
after(() => world.stop());

// Compiled only if every field of the one is a field of the other, at every depth: the serializer writes no field that its
// schema does not name.
type Deep<T> = T extends readonly (infer E)[]
  ? Deep<E>[]
  : T extends object
    ? { -readonly [K in keyof T]-?: Deep<T[K]> }
    : T;
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type Shown = OrderView & { delivery: OrderView["delivery"] & PersonalData };
const orderIsWhole: Same<Deep<Static<typeof orderShape>>, Deep<Shown>> = true;
const channelIsWhole: Same<Deep<Static<typeof channelShape>>, Deep<Channel>> = true;

test("the schemas of orders and channels name every field that there is", () => {
  assert.ok(orderIsWhole && channelIsWhole);
});

test("docs/errors.md has the row of each problem, and no other", async () => {
  const text = await readFile(join(root, "docs", "errors.md"), "utf8");
  const rows = [...text.matchAll(/^\| `(\w+)` \| (\d+) \| (yes|no) \| ([^|]*) \| ([^|]+) \|$/gm)];
  const written = rows.map(([, code, status, retry, title]) => [
    code,
    Number(status),
    retry === "yes",
    title,
  ]);
  const there = Object.entries(problems).map(([code, row]) => [code, row.status, row.retryable, row.title]);
  assert.deepEqual(written, there);
});

test("every route has a name, a summary and its problems in OpenAPI; all but health, metrics and callbacks need a key", () => {
  const open: string[] = [];
  const names = new Set<string>();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods) as [string, Documented][]) {
      const what = `${method} ${path}`;
      assert.ok(operation.operationId && operation.summary && operation.tags.length === 1, what);
      assert.ok(!names.has(operation.operationId), what);
      names.add(operation.operationId);
      if (operation.security?.length === 0) open.push(path);
      else for (const status of ["401", "403"]) assert.ok(operation.responses[status], `${what} ${status}`);
      if (operation.requestBody)
        for (const status of ["400", "413", "415"]) assert.ok(operation.responses[status], what);
    }
  }
  assert.deepEqual(open.sort(), ["/health/live", "/health/ready", "/metrics", "/v1/channels/{id}/callbacks"]);
});

test("docs/api.md and OpenAPI know the same addresses", async () => {
  const text = await readFile(join(root, "docs", "api.md"), "utf8");
  for (const path of Object.keys(document.paths))
    assert.ok(text.includes(path), `docs/api.md does not tell of ${path}`);
});

interface Documented {
  operationId: string;
  summary: string;
  tags: string[];
  security?: unknown[];
  requestBody?: unknown;
  responses: Record<string, unknown>;
}
