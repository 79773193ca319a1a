import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { DataFolderHeld, isFolderHeld, lockDataFolder } from "../../src/cli/data-lock.ts";

const base = await mkdtemp(join(tmpdir(), "uoop-lock-"));
after(() => rm(base, { recursive: true, force: true }));
let count = 0;
const freshFolder = () => {
  count += 1;
  return join(base, String(count));
};
const lockSource = new URL("../../src/cli/data-lock.ts", import.meta.url).href;

/** Another process that takes the folder's lock and keeps it. */
async function otherHolder(folder: string) {
  const program = `
    const { lockDataFolder } = await import(${JSON.stringify(lockSource)});
    await lockDataFolder(${JSON.stringify(folder)}, "start");
    process.stdout.write("held");
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}

test("a second process is refused with who holds the folder, and may have it once released", async () => {
  const folder = freshFolder();
  const holder = await otherHolder(folder);
  await assert.rejects(lockDataFolder(folder, "start"), (error) => {
    assert.ok(error instanceof DataFolderHeld);
    assert.match(error.message, new RegExp(`in use by "uoop start" \\(process ${holder.pid}\\)`));
    return true;
  });
  assert.equal(await isFolderHeld(folder), true);
  holder.kill("SIGKILL");
  await once(holder, "exit");
  assert.equal(await isFolderHeld(folder), false);
  const lock = await lockDataFolder(folder, "start");
  await lock.release();
  assert.deepEqual(await readdir(folder), []);
});

test("a dead holder's number that another program was given since does not hold the folder", async () => {
  const folder = freshFolder();
  await (await lockDataFolder(folder, "start")).release();
  const stale = { pid: process.ppid, host: hostname(), startedAt: "of-an-earlier-boot.17", command: "start" };
  await writeFile(join(folder, "lock"), JSON.stringify(stale));
  const lock = await lockDataFolder(folder, "start");
  assert.equal(
    (JSON.parse(await readFile(join(folder, "lock"), "utf8")) as { pid: number }).pid,
    process.pid,
  );
  await lock.release();
});

test("a lock that was being written when the machine died is taken over", async () => {
  const folder = freshFolder();
  await (await lockDataFolder(folder, "start")).release();
  await writeFile(join(folder, "lock"), "");
  await (await lockDataFolder(folder, "start")).release();
});

test("a holder on another machine counts as alive as long as it gives signs of life", async () => {
  const folder = freshFolder();
  await (await lockDataFolder(folder, "start")).release();
  const path = join(folder, "lock");
  await writeFile(
    path,
    JSON.stringify({ pid: 1, host: "elsewhere.example", startedAt: "", command: "start" }),
  );
  await assert.rejects(lockDataFolder(folder, "start"), /process 1 on elsewhere\.example/);
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(path, longAgo, longAgo);
  await (await lockDataFolder(folder, "start")).release();
});

test("of several that find a dead holder's lock at once, one gets it", async () => {
  const folder = freshFolder();
  await (await lockDataFolder(folder, "start")).release();
  await writeFile(
    join(folder, "lock"),
    JSON.stringify({ pid: 0, host: hostname(), startedAt: "", command: "start" }),
  );
  const program = `
    const { lockDataFolder } = await import(${JSON.stringify(lockSource)});
    const got = await lockDataFolder(${JSON.stringify(folder)}, "start").then(() => true, () => false);
    process.stdout.write(got ? "got" : "refused");
    setTimeout(() => process.exit(0), 1500);`;
  const said = await Promise.all(
    [1, 2, 3].map(async () => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [text] = (await once(child.stdout, "data")) as [Buffer];
      await once(child, "exit");
      return text.toString();
    }),
  );
  assert.deepEqual(said.toSorted(), ["got", "refused", "refused"]);
});
