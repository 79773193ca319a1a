import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const root = join(import.meta.dirname, "..", "..");
const folder = await mkdtemp(join(tmpdir(), "uoop-start-"));
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(
    children.map((child) =>
      child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined,
    ),
  );
  await rm(folder, { recursive: true, force: true });
});

interface Started {
  child: ChildProcess;
  /** Everything it has said. */
  text(): string;
  /** Resolves with what it said once it has said this, or has ended. */
  until(pattern: RegExp): Promise<string>;
  exit: Promise<number | null>;
}

/** `uoop …` as a process of its own, on this test's data folder. */
function uoop(args: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
  const child = spawn(process.execPath, ["bin/uoop.js", ...args], {
    cwd: root,
    env: { ...process.env, DATA_DIR: folder, PORT: "0", SIMULATOR_PORT: "0", LOG_LEVEL: "warn", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let said = "";
  let heard: () => void = () => undefined;
  const more = () =>
    new Promise<void>((resolve) => {
      heard = resolve;
    });
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      heard();
    });
  }
  const until = async (pattern: RegExp) => {
    while (!pattern.test(said)) {
      const ended = await Promise.race([exit.then(() => true), more().then(() => false)]);
      if (ended && !pattern.test(said)) throw new Error(`it ended without saying ${pattern}:\n${said}`);
    }
    return said;
  };
  return { child, text: () => said, until, exit };
}

/** Processes that work in the data folder or were started for it. */
async function processesOf(path: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (command.includes(path) || cwd.startsWith(path)) found.push(`${pid} ${command.replaceAll("\0", " ")}`);
  }
  return found;
}

const placeOrder = async (said: string): Promise<{ id: string; status: string }> => {
  const key = (await readFile(join(folder, "api-key"), "utf8")).trim();
  const url = /running at (\S+) /.exec(said)?.[1];
  const body = (/-d '(.*)'/.exec(said)?.[1] ?? "").replace("first-", `${randomUUID()}-`);
  const response = await fetch(`${url}/v1/orders`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body,
  });
  return (await response.json()) as { id: string; status: string };
};

test("start, order, second start, stop, start again: as the README says", async () => {
  const first = uoop(["start"]);
  const said = await first.until(/-d '.*'\n/);
  const order = await placeOrder(said);
  assert.equal(order.status, "confirmed");
  assert.equal((await stat(join(folder, "api-key"))).mode & 0o777, 0o600);

  const second = uoop(["start"]);
  assert.equal(await second.exit, 1);
  assert.match(second.text(), new RegExp(`in use by "uoop start" \\(process ${first.child.pid}\\)`));

  const keys = uoop(["keys", "list"]);
  assert.equal(await keys.exit, 0);
  assert.match(keys.text(), /admin/);

  first.child.kill("SIGINT");
  first.child.kill("SIGINT"); // npm passes on what the terminal has told already
  assert.equal(await first.exit, 0, first.text());
  assert.deepEqual(await processesOf(folder), []);

  const again = uoop(["start"]);
  const key = (await readFile(join(folder, "api-key"), "utf8")).trim();
  const url = /running at (\S+) /.exec(await again.until(/-d '.*'\n/))?.[1];
  const response = await fetch(`${url}/v1/orders/${order.id}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  assert.equal(response.status, 200);
  again.child.kill("SIGTERM");
  assert.equal(await again.exit, 0);
});

test("killed without warning, the next start takes over what was left running and loses nothing", async () => {
  const first = uoop(["start"]);
  const order = await placeOrder(await first.until(/-d '.*'\n/));
  first.child.kill("SIGKILL");
  await first.exit;

  const again = uoop(["start"]);
  const said = await again.until(/-d '.*'\n/);
  const key = (await readFile(join(folder, "api-key"), "utf8")).trim();
  const url = /running at (\S+) /.exec(said)?.[1];
  const response = await fetch(`${url}/v1/orders/${order.id}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  assert.equal(response.status, 200, said);
  const check = uoop(["check"]);
  assert.equal(await check.exit, 0, check.text());
  again.child.kill("SIGINT");
  assert.equal(await again.exit, 0);
  assert.deepEqual(await processesOf(folder), []);
});

test("when PostgreSQL or the simulator is killed, the platform starts it again and goes on", async () => {
  const started = uoop(["start"]);
  const said = await started.until(/-d '.*'\n/);
  const simulatorPid = (await processesOf(folder)).find((each) => each.includes("simulator"))?.split(" ")[0];
  process.kill(
    Number((await readFile(join(folder, "postgres", "postmaster.pid"), "utf8")).split("\n")[0]),
    "SIGKILL",
  );
  process.kill(Number(simulatorPid), "SIGKILL");
  await started.until(/PostgreSQL ended by itself; starting it again/);
  await started.until(/the channel simulator ended by itself; starting it again/);
  let status = "";
  while (status !== "confirmed") status = (await placeOrder(said).catch(() => ({ status: "" }))).status;
  started.child.kill("SIGINT");
  assert.equal(await started.exit, 0, started.text());
  assert.deepEqual(await processesOf(folder), []);
});

test("a port that is taken is said so, and nothing is left behind", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const started = uoop(["start"], { PORT: String(port) });
  assert.equal(await started.exit, 1);
  assert.match(
    started.text(),
    new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use by another program\\. Set PORT`),
  );
  assert.deepEqual(await processesOf(folder), []);
});

test("wrong usage is exit code 2 with a sentence, help is 0", async () => {
  const cases: [string[], Record<string, string>, number, RegExp][] = [
    [["start", "--rolls", "x"], {}, 2, /unknown option '--rolls'/],
    [["strat"], {}, 2, /unknown command 'strat'/],
    [["start"], { PORT: "http" }, 2, /PORT="http" must be integer/],
    [["start", "--roles", "gateway"], {}, 2, /gateway needs orchestration in the same process/],
    [["keys", "create", "acme", "--scopes", "everything"], {}, 2, /Unknown scope "everything"/],
    [[], {}, 2, /Usage: uoop/],
    [["start", "--help"], {}, 0, /Usage: uoop start/],
  ];
  for (const [args, env, code, said] of cases) {
    const run = uoop(args, env);
    assert.equal(await run.exit, code, `${args.join(" ")}: ${run.text()}`);
    assert.match(run.text(), said);
  }
});
