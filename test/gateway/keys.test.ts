import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { createKeys, type Keys } from "../../src/gateway/keys.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { statement } from "../../src/platform/database.ts";
import { createIds } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/postgres.ts";

let nowMs = Date.parse("2026-11-24T06:00:00Z");
const clock: Clock = { nowMs: () => nowMs, after: () => () => undefined };
const ids = createIds();

let db: Awaited<ReturnType<typeof testDatabase>>;
let keys: Keys;
let folder: string;

before(async () => {
  db = await testDatabase();
  folder = await mkdtemp(join(tmpdir(), "uoop-keys-"));
});
after(async () => {
  await db.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  await db.database.run(statement("wipe_keys", "delete from api_keys"));
  await db.database.run(statement("wipe_clients", "delete from clients"));
  keys = createKeys({ database: db.database, clock, ids });
});

test("a key is known by its hash alone, and asking again costs no statement", async () => {
  const { key, clientId, id } = await keys.create("cal", ["orders:read", "orders:write"]);
  assert.match(key, /^uoop_[A-Za-z0-9_-]{43}$/);
  const stored = await db.database.run(statement("all_keys", "select api_keys::text as row from api_keys"));
  assert.equal(JSON.stringify(stored).includes(key), false);

  const principal = await keys.authenticate(key);
  assert.deepEqual(principal, {
    keyId: id,
    clientId,
    scopes: new Set(["orders:read", "orders:write"]),
    rateLimitPerMinute: 1_000,
    actor: `client:${clientId}`,
  });
  const sent = db.database.statementsSent;
  assert.equal(keys.authenticate(key), principal, "answered at once, from memory");
  assert.equal(db.database.statementsSent, sent);
});

test("many keys asked for at once are few statements, and unknown ones stay unknown", async () => {
  const made = await Promise.all(
    Array.from({ length: 20 }, (_, index) => keys.create(`client ${index}`, ["admin"])),
  );
  const sent = db.database.statementsSent;
  const unknown = `uoop_${"x".repeat(43)}`;
  const asked = await Promise.all([
    ...made.map(({ key }) => keys.authenticate(key)),
    keys.authenticate(unknown),
  ]);
  assert.deepEqual(
    asked.map((one) => one?.keyId),
    [...made.map(({ id }) => id), undefined],
  );
  assert.ok(db.database.statementsSent - sent <= 2);
  assert.equal(keys.authenticate("not a key"), null);
});

test("keys of one name belong to one client", async () => {
  const [first, second] = await Promise.all([
    keys.create("cal", ["admin"]),
    keys.create("cal", ["orders:read"]),
  ]);
  assert.equal(first!.clientId, second!.clientId);
  assert.notEqual((await keys.create("other", ["admin"])).clientId, first!.clientId);
});

test("a revoked key is refused at once here, and within seconds by other processes", async () => {
  const { key, id } = await keys.create("cal", ["admin"]);
  const elsewhere = createKeys({ database: db.database, clock, ids });
  assert.ok(await elsewhere.authenticate(key));
  assert.equal(await keys.revoke(id), true);
  assert.equal(await keys.revoke(id), false);
  assert.equal(await keys.authenticate(key), null);
  assert.ok(elsewhere.authenticate(key), "still believed");
  nowMs += 5_001;
  assert.equal(await elsewhere.authenticate(key), null);
  const [listed] = await keys.list();
  assert.equal(listed!.name, "cal");
  assert.ok(listed!.revokedAt);
  assert.equal("keyHash" in listed!, false);
});

test("the first start makes an admin key in a file that only its owner reads; later starts find it", async () => {
  const file = join(folder, "first", "api-key");
  const made = await keys.ensureFirstKey(file);
  assert.equal(made?.made, true);
  assert.equal((await readFile(file, "utf8")).trim(), made?.key);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.ok((await keys.authenticate(made!.key))?.scopes.has("admin"));
  assert.deepEqual(await keys.ensureFirstKey(file), { key: made!.key, made: false });
  assert.equal(await keys.ensureFirstKey(join(folder, "none")), null, "no second first key");
});

test("two first starts at once make one key", async () => {
  const second = createKeys({ database: db.database, clock, ids });
  const file = join(folder, "race");
  const [one, two] = await Promise.all([keys.ensureFirstKey(file), second.ensureFirstKey(file)]);
  assert.equal(one?.key, two?.key);
  assert.equal((await keys.list()).length, 1);
});

test("a start that was killed between file and database ends with the key in the file", async () => {
  const file = join(folder, "killed");
  const key = `uoop_${"k".repeat(43)}`;
  await writeFile(file, `${key}\n`, { mode: 0o644 });
  assert.deepEqual(await keys.ensureFirstKey(file), { key, made: true });
  assert.ok(await keys.authenticate(key));
});
