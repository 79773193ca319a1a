import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { startPlatform } from "../support/platform.ts";

const folder = await mkdtemp(join(tmpdir(), "uoop-readme-"));
const platform = await startPlatform({ exampleNetwork: true });
after(async () => {
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
});

test("the README's first order, pasted as it stands, is confirmed within 2 s and followed until it is delivered", async () => {
  const readme = await readFile(join(import.meta.dirname, "..", "..", "README.md"), "utf8");
  const block = /## The first order\n\n```bash\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  await writeFile(join(folder, "key"), platform.apiKey);
  const script = block
    .replaceAll("http://127.0.0.1:8080", platform.url)
    .replaceAll(".uoop/api-key", join(folder, "key"));
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
  const { stdout } = await promisify(execFile)("bash", ["-c", script], { env });
  assert.match(stdout.split("\n")[0] ?? "", /"status":"confirmed"/, stdout);
  assert.match(
    stdout
      .trim()
      .split("\n")
      .findLast((line) => line.startsWith("data:")) ?? "",
    /"to":"delivered"/,
  );
});
