import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problems } from "../../src/platform/errors.ts";
import { badRequests } from "./bad-requests.ts";
import { aChannel, anOrder, type Call, clientOf } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

let world: Awaited<ReturnType<typeof startFakeWorld>>;
let call: Call;

before(async () => {
  world = await startFakeWorld();
  call = clientOf(world.url, keyOf.all!);
});
after(() => world.stop());

for (const [name, method, path, body, code, pointer] of badRequests) {
  test(`${name} is answered ${code}`, async () => {
    const answer = await call(method, path, body);
    assert.equal(answer.body.code, code, answer.text);
    assert.equal(answer.status, problems[code as keyof typeof problems].status);
    assert.match(answer.headers.get("content-type")!, /^application\/problem\+json/);
    assert.deepEqual(Object.keys(answer.body).slice(0, 6), [
      "type",
      "title",
      "status",
      "code",
      "detail",
      "retryable",
    ]);
    if (pointer !== undefined) assert.equal(answer.body.errors?.[0]?.pointer, pointer);
    assert.equal(
      world.submitted.length,
      name === "a window in the past" ? 1 : 0,
      "nothing reached orchestration",
    );
    world.submitted.length = 0;
  });
}

test("every wrong field is named at once, and what to do", async () => {
  const { body } = await call(
    "POST",
    "/v1/orders",
    anOrder({ customerId: 5, items: [{ sku: "", quantity: 0 }], extra: 1 }),
  );
  assert.deepEqual(body.errors?.map(({ pointer }) => pointer).sort(), [
    "/customerId",
    "/extra",
    "/items/0/quantity",
    "/items/0/sku",
    "/items/0/unitPriceMinor",
  ]);
  assert.match(body.errors!.find(({ pointer }) => pointer === "/items/0/quantity")!.message, /at least 1/);
});

test("four megabytes of rubbish are refused without naming each piece", async () => {
  const { status, body, text } = await call("POST", "/v1/orders", `{"items":[${"1,".repeat(1_900_000)}1]}`);
  assert.equal(status, 400);
  assert.equal(body.code, "validation_failed");
  assert.ok(text.length < 2_000);
});

test("a body that is not JSON by its content type is 415", async () => {
  const answer = await call("POST", "/v1/orders", "a=1", {
    "content-type": "application/x-www-form-urlencoded",
  });
  assert.equal(answer.status, 415);
  assert.equal(answer.body.code, "media_type_unsupported");
});

test("a wrong method names those that are right", async () => {
  const { headers } = await call("DELETE", "/v1/channels/chn_1");
  assert.equal(headers.get("allow"), "GET, HEAD, PATCH");
});

test("an idempotency key with control characters or without end is refused", async () => {
  for (const key of ["", "x".repeat(256), "ümlaut"]) {
    const { body } = await call("POST", "/v1/orders", anOrder(), { "idempotency-key": key });
    assert.equal(body.code, "validation_failed", key);
    assert.equal(body.errors?.[0]?.pointer, "/headers/idempotency-key");
  }
});

test("without a key, with an unknown one, or with another scheme it is 401", async () => {
  const wrong: Record<string, string>[] = [
    {},
    { authorization: "Bearer uoop_unknown" },
    { authorization: `Bearer uoop_${"a".repeat(43)}` },
    { authorization: "Basic abc" },
    { authorization: "Bearer" },
  ];
  const anonymous = clientOf(world.url, null);
  for (const headers of wrong) {
    for (const [method, path] of [
      ["POST", "/v1/orders"],
      ["GET", "/v1/orders/x"],
      ["GET", "/v1/channels"],
    ] as const) {
      const answer = await anonymous(method, path, undefined, headers);
      assert.equal(answer.body.code, "unauthorized");
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
    }
  }
});

test("a key without the scope is told which it lacks", async () => {
  const reader = clientOf(world.url, keyOf.read!);
  const place = await reader("POST", "/v1/orders", anOrder());
  assert.equal(place.status, 403);
  assert.match(place.body.detail!, /orders:write/);
  const add = await clientOf(world.url, keyOf.write!)("POST", "/v1/channels", aChannel());
  assert.equal(add.body.code, "forbidden");
  assert.match(add.body.detail!, /channels:write/);
  const read = await clientOf(world.url, keyOf.channels!)("GET", "/v1/orders");
  assert.equal(read.body.code, "forbidden");
});

test("what is not HTTP is answered as a problem too", async () => {
  const { connect } = await import("node:net");
  const { hostname, port } = new URL(world.url);
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write("NOT HTTP AT ALL\r\n\r\n"));
    let all = "";
    socket
      .on("data", (chunk) => (all += chunk))
      .on("end", () => resolve(all))
      .on("error", reject);
  });
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.match(text, /application\/problem\+json/);
  assert.equal(JSON.parse(text.slice(text.indexOf("\r\n\r\n"))).code, "bad_request");
});
