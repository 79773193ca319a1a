import assert from "node:assert/strict";
import { after, test } from "node:test";
import { firstOrder } from "../../src/cli/welcome.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const platforms: TestPlatform[] = [];
after(async () => {
  for (const platform of platforms.toReversed()) await platform.stop();
});

test("with the roles split over two processes, an order is delivered and the read model tells of it", async () => {
  const front = await startPlatform({
    exampleNetwork: true,
    env: { ROLES: "gateway,orchestration,optimization,capacity" },
  });
  platforms.push(front);
  const back = await startPlatform({ databaseUrl: front.databaseUrl, env: { ROLES: "relay,read-model" } });
  platforms.push(back);
  assert.equal(back.url, "");

  const headers = { authorization: `Bearer ${front.apiKey}`, "content-type": "application/json" };
  const body = /-d '(.*)'$/.exec(firstOrder("", "", Date.now()))?.[1] ?? "";
  const placed = await fetch(`${front.url}/v1/orders`, { method: "POST", headers, body });
  assert.equal(placed.status, 201);
  const { id } = (await placed.json()) as { id: string };

  const stream = await fetch(`${front.url}/v1/orders/${id}/stream`, { headers });
  assert.match(await stream.text(), /"to":"delivered"/);
  // The projector reads the bus as the stream did; it may be a moment behind.
  for (;;) {
    const [view] = await back.app.readModel.get([id]);
    if (view?.order.status === "delivered") break;
  }
});
