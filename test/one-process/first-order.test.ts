import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { firstOrder } from "../../src/cli/welcome.ts";
import { startPlatform } from "../support/platform.ts";

const platform = await startPlatform({ exampleNetwork: true });
after(() => platform.stop());

interface Order {
  id: string;
  status: string;
  externalId: string;
}

test("the curl that a start prints places an order that is confirmed, and the simulator delivers it", async () => {
  const line = firstOrder(platform.url, platform.apiKey, Date.now());
  const { stdout } = await promisify(execFile)("sh", ["-c", line]);
  const order = JSON.parse(stdout) as Order;
  assert.equal(order.status, "confirmed", stdout);

  const response = await fetch(`${platform.url}/v1/orders/${order.id}/stream`, {
    headers: { authorization: `Bearer ${platform.apiKey}` },
  });
  const statuses: string[] = [];
  for await (const status of statusesIn(response)) statuses.push(status);
  assert.deepEqual(statuses.slice(statuses.indexOf("confirmed")), [
    "confirmed",
    "preparing",
    "ready",
    "dispatched",
    "delivered",
  ]);
});

/** The statuses that an order's stream tells of; it ends with the order's last event. */
async function* statusesIn(response: Response): AsyncIterable<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines.filter((each) => each.startsWith("data:"))) {
      const event = JSON.parse(line.slice(5)) as { type: string; data: { to?: string } };
      if (event.type === "order.status_changed" && event.data.to) yield event.data.to;
    }
  }
}

test("an order for each type of channel is confirmed", async () => {
  for (const type of ["internal_kitchen", "dark_store", "external_partner", "partner_network"]) {
    const body = firstOrder("", "", Date.now()).match(/-d '(.*)'$/)?.[1] ?? "";
    const order = {
      ...(JSON.parse(body) as object),
      externalId: `first-${type}`,
      routing: { channelTypes: [type] },
    };
    const response = await fetch(`${platform.url}/v1/orders`, {
      method: "POST",
      headers: { authorization: `Bearer ${platform.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify(order),
    });
    const answer = (await response.json()) as Order & { channel: { type: string } };
    assert.equal(response.status, 201, JSON.stringify(answer));
    assert.equal(answer.channel.type, type);
  }
});
