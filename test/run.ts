/**
 * `npm test`: every test/**\/*.test.ts (or the files and folders named) against one PostgreSQL of the run, within a bounded
 * time. Exits as the tests do: 0 passed, 1 failed.
 */
import { spawn } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { startTestPostgres } from "./support/postgres-server.ts";

const runLimitMs = 10 * 60_000;
const testLimitMs = 3 * 60_000;
const filesAtOnce = 2;

const root = join(import.meta.dirname, "..");

function filesOf(named: readonly string[]): readonly string[] {
  if (named.length === 0) return globSync("test/**/*.test.ts", { cwd: root }).sort();
  return named.flatMap((name) =>
    statSync(join(root, name)).isDirectory()
      ? globSync(`${name}/**/*.test.ts`, { cwd: root }).sort()
      : [name],
  );
}

async function runTests(files: readonly string[], postgresUrl: string): Promise<number> {
  const args = [
    "--test",
    `--test-concurrency=${filesAtOnce}`,
    `--test-timeout=${testLimitMs}`,
    "--test-reporter=spec",
    ...files,
  ];
  const tests = spawn(process.execPath, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, TEST_POSTGRES_URL: postgresUrl },
  });
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    console.error(`The tests took longer than ${runLimitMs / 60_000} minutes; they are ended.`);
    tests.kill("SIGTERM");
    setTimeout(() => tests.kill("SIGKILL"), 5_000).unref();
  }, runLimitMs);
  const interrupted = () => void tests.kill("SIGINT");
  process.on("SIGINT", interrupted);
  process.on("SIGTERM", interrupted);
  const code = await new Promise<number | null>((resolve) => tests.once("exit", resolve));
  clearTimeout(limit);
  return late ? 1 : (code ?? 1);
}

const files = filesOf(process.argv.slice(2));
if (files.length === 0) {
  console.error("There are no test files there.");
  process.exit(2);
}
const postgres = await startTestPostgres();
try {
  process.exitCode = await runTests(files, postgres.url);
} finally {
  await postgres.stop();
}
