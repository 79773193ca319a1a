import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import pg from "pg";
import { createLog } from "../../src/platform/log.ts";
import { createPostgres, type EmbeddedPostgres, socketFolderOf } from "../../src/platform/postgres.ts";

const folder = await mkdtemp(join(tmpdir(), "uoop-postgres-"));
const log = createLog("silent");
const modules = new URL("../../src/platform/", import.meta.url).pathname;
const started: EmbeddedPostgres[] = [];
after(async () => {
  for (const postgres of started) await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

const create = (): EmbeddedPostgres => {
  const postgres = createPostgres({ folder, log });
  started.push(postgres);
  return postgres;
};

async function query<Row extends object>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

test("it starts on a fresh folder, durable, and keeps its data over a stop", async () => {
  const postgres = create();
  await postgres.start();
  const url = postgres.urlOf("postgres");
  const [settings] = await query<object>(
    url,
    "select current_setting('fsync') as fsync, current_setting('listen_addresses') as listens",
  );
  assert.deepEqual(settings, { fsync: "on", listens: "" });
  await query(url, "create table kept (n int)");
  await query(url, "insert into kept values (1)");
  await postgres.stop();
  assert.equal(postgres.pid, undefined);
  await postgres.start();
  assert.deepEqual(await query(url, "select n from kept"), [{ n: 1 }]);
  await postgres.stop();
});

test("what was committed is there after the program and the server were killed, each or both", async () => {
  for (const [round, killed] of [["program"], ["server"], ["program", "server"]].entries()) {
    const program = spawn(process.execPath, ["--input-type=module", "-e", otherProgram], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = (await once(program.stdout, "data")) as [Buffer];
    const serverPid = Number(said.toString());
    if (killed.includes("server")) process.kill(serverPid, "SIGKILL");
    if (killed.includes("program") || killed.includes("server")) program.kill("SIGKILL");
    await once(program, "exit");
    const postgres = create();
    await postgres.start();
    assert.notEqual(postgres.pid, serverPid);
    const [row] = await query<{ count: string }>(postgres.urlOf("postgres"), "select count(*) from kept");
    assert.equal(row?.count, String(2 + round), `after ${killed.join(" and ")} was killed`);
    await postgres.stop();
  }
});

const otherProgram = `
  import pg from "pg";
  import { createPostgres } from "${modules}postgres.ts";
  import { createLog } from "${modules}log.ts";
  const postgres = createPostgres({ folder: ${JSON.stringify(folder)}, log: createLog("silent") });
  await postgres.start();
  const client = new pg.Client({ connectionString: postgres.urlOf("postgres") });
  client.on("error", () => undefined);
  await client.connect();
  await client.query("insert into kept values (2)");
  process.stdout.write(String(postgres.pid));
  setInterval(() => undefined, 1000);
`;

test("a server that dies is started again", async () => {
  const postgres = create();
  await postgres.start();
  const first = postgres.pid;
  process.kill(first as number, "SIGKILL");
  const url = postgres.urlOf("postgres");
  // The end of a process is told by the operating system; no signal of ours comes before it.
  let rows: object[] = [];
  while (postgres.pid === first || rows.length === 0)
    rows = await query(url, "select count(*) from kept").catch(() => []);
  assert.deepEqual(rows, [{ count: "4" }]);
  await postgres.stop();
});

test("a postmaster.pid whose number now belongs to another program is no obstacle", async () => {
  const pidFile = join(folder, "postgres", "postmaster.pid");
  await writeFile(pidFile, `${process.pid}\n${join(folder, "postgres")}\n0\n5432\n\n\n`);
  const postgres = create();
  await postgres.start();
  assert.equal((await readFile(pidFile, "utf8")).split("\n")[0], String(postgres.pid));
  await postgres.stop();
});

test("data of another version is refused with what to do, and left alone", async () => {
  const versionFile = join(folder, "postgres", "PG_VERSION");
  await writeFile(versionFile, "16\n");
  await assert.rejects(
    createPostgres({ folder, log }).start(),
    /was made by PostgreSQL 16, and this release brings PostgreSQL 18/,
  );
  assert.equal(await readFile(versionFile, "utf8"), "16\n");
});

test("the socket's path fits, however deep the data folder is", () => {
  const deep = join("/", "a".repeat(60), "b".repeat(60), ".uoop");
  assert.ok(Buffer.byteLength(join(socketFolderOf(deep), ".s.PGSQL.5432")) < 108);
  assert.equal(socketFolderOf("/srv/uoop/.uoop"), "/srv/uoop/.uoop/run");
});
