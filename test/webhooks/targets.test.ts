import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock as clock } from "../../src/platform/clock.ts";
import { send } from "../../src/webhooks/send.ts";
import { createDispatcher, isPublicAddress, type Resolve, refuseUrl } from "../../src/webhooks/targets.ts";
import { startReceiver } from "./receiver.ts";

const inside = [
  ...[
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
  ],
  ...[
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "100.100.100.200",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
  ],
  ...[
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:a9fe:a9fe",
    "fe80::1",
    "fe80::1%eth0",
  ],
  ...[
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2001:db8::1",
  ],
];
const outside = [
  "8.8.8.8",
  "1.1.1.1",
  "172.32.0.1",
  "100.128.0.1",
  "2606:4700::1111",
  "::ffff:8.8.8.8",
  "64:ff9b::808:808",
];

test("addresses of the internet are told from all others, also when they are written in another way", () => {
  for (const address of inside) assert.equal(isPublicAddress(address), false, address);
  for (const address of outside) assert.equal(isPublicAddress(address), true, address);
  assert.equal(isPublicAddress("not an address"), false);
});

test("an address that is private as it is written is refused when the webhook is made, and http as well", () => {
  const hosts = [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "localhost",
  ];
  for (const host of [...hosts, "LOCALHOST.", "a.localhost", "metadata.google.internal", "169.254.169.254"]) {
    assert.match(refuseUrl(`https://${host}/hook`, "public") ?? "", /internet/, host);
    assert.equal(refuseUrl(`http://${host}/hook`, "any"), null);
  }
  assert.match(refuseUrl("http://example.com/", "public") ?? "", /https/);
  assert.equal(refuseUrl("https://example.com:8443/hook?x=1", "public"), null);
});

/** Resolves every name to these, one list after the other. */
function resolver(...answers: string[][]): Resolve & { asked: number } {
  const resolve = Object.assign(
    (_host: string, _options: unknown, callback: Parameters<Resolve>[2]) => {
      const addresses = answers[Math.min(resolve.asked, answers.length - 1)]!;
      resolve.asked += 1;
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
      );
    },
    { asked: 0 },
  );
  return resolve;
}

async function attempt(url: string, resolve?: Resolve) {
  const dispatcher = createDispatcher("public", 1, resolve);
  const message = { id: "msg_1", body: Buffer.from("{}"), sign: () => ({}), timeoutMs: 500 };
  try {
    return await send(dispatcher, clock, { ...message, url });
  } finally {
    await dispatcher.destroy();
  }
}

test("what counts is the address that is connected to: a name that resolves inside is refused, whatever it said before", async () => {
  const receiver = await startReceiver();
  const { port } = new URL(receiver.url);
  for (const protocol of ["http", "https"]) {
    for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"]) {
      const resolve = resolver([address], ["192.0.2.1"]);
      const sent = await attempt(`${protocol}://innocent.example:${port}/`, resolve);
      assert.match(sent.reason ?? "", /TARGET_REFUSED.*resolves to/, address);
      assert.equal(resolve.asked, 1, "one look, the connection's own: nothing can change after it");
    }
  }
  const mixed = await attempt(`http://innocent.example:${port}/`, resolver(["192.0.32.8", "127.0.0.1"]));
  assert.match(mixed.reason ?? "", /TARGET_REFUSED.*127\.0\.0\.1/);
  const empty = await attempt(`http://innocent.example:${port}/`, resolver([]));
  assert.match(empty.reason ?? "", /resolves to nothing/);
  assert.equal(receiver.got.length, 0);
  await receiver.close();
});

test("an address needs no look-up, and is refused all the same", async () => {
  const receiver = await startReceiver();
  const { port } = new URL(receiver.url);
  for (const host of ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"]) {
    const sent = await attempt(`http://${host}:${port}/`);
    assert.match(sent.reason ?? "", /TARGET_REFUSED/, host);
  }
  assert.equal(receiver.got.length, 0);
  await receiver.close();
});
