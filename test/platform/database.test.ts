import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openDatabase, sqlState, statement } from "../../src/platform/database.ts";
import { UoopError } from "../../src/platform/errors.ts";
import { startProxy } from "../chaos/proxy.ts";
import { testDatabase } from "../support/postgres.ts";

const { database, url, close } = await testDatabase({ connections: 3 });
after(() => close());

const myPid = statement("test.pid", "select pg_backend_pid() as pid");
const end = statement("test.end", "select pg_terminate_backend($1, 5000)");
const isUnavailable = (error: unknown) => error instanceof UoopError && error.code === "unavailable";

test("a transaction is kept whole or not at all", async () => {
  await database.run(statement("", "create table kept (n int primary key)"));
  const insert = statement("test.insert", "insert into kept values ($1)");
  await database.transaction(async (tx) => void (await tx.run(insert, [1])));
  const failing = database.transaction(async (tx) => {
    await tx.run(insert, [2]);
    await tx.run(insert, [1]);
  });
  await assert.rejects(failing, (error) => sqlState(error) === "23505");
  assert.deepEqual(await database.run(statement("test.all", "select n from kept")), [{ n: 1 }]);
});

test("a connection that drops between two statements of a transaction is an answer, not the end of the process", async () => {
  const broken = database.transaction(async (tx) => {
    const [row] = await tx.run<{ pid: number }>(myPid);
    await database.run(end, [row?.pid]);
    return tx.run(myPid);
  });
  await assert.rejects(broken, isUnavailable);
  assert.equal((await database.run(myPid)).length, 1);
});

test("a commit whose connection drops is unavailable, with no SQLSTATE or that of the shutdown: it is ambiguous", async () => {
  const broken = database.transaction(async (tx) => {
    const [row] = await tx.run<{ pid: number }>(myPid);
    await database.run(end, [row?.pid]);
  });
  await assert.rejects(broken, isUnavailable);
});

test("bigints arrive as numbers and times as RFC 3339 text", async () => {
  const rows = await database.run(
    statement(
      "test.types",
      "select 9007199254740991::bigint as big, '2026-11-24 08:00+04'::timestamptz as at",
    ),
  );
  assert.deepEqual(rows, [{ big: 9_007_199_254_740_991, at: "2026-11-24T04:00:00.000Z" }]);
});

test("a full disk is trouble of the database's own: unavailable, and what was wrong is told", async () => {
  const full = "do $$ begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$";
  await assert.rejects(
    database.run(statement("", full)),
    (error) => isUnavailable(error) && sqlState(error) === "53100",
  );
});

test("a statement that nobody answers is given up, and the next has a connection that works", async () => {
  const socket = `${new URL(url.replace("@/", "@x/")).searchParams.get("host")}/.s.PGSQL.5432`;
  const proxy = await startProxy(
    () => [{ path: socket }],
    () => 0,
  );
  const { pathname } = new URL(url.replace("@/", "@x/"));
  const through = openDatabase(`postgresql://uoop@127.0.0.1:${proxy.port}${pathname}`, {
    connections: 1,
    application: "uoop-test",
    answerTimeoutMs: 300,
  });
  try {
    assert.equal((await through.run(myPid)).length, 1);
    proxy.set("cut"); // with this chance: silently, at the next piece
    await assert.rejects(through.run(myPid), isUnavailable);
    proxy.set("none");
    assert.equal((await through.run(myPid)).length, 1);
  } finally {
    await through.close();
    await proxy.stop();
  }
});
