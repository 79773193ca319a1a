#!/usr/bin/env node
// Runs src/main.ts on Node 24 or newer: the one that runs this, or else the one that npm installed beside us (package "node").
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [major] = process.versions.node.split(".").map(Number);
if (major >= 24) {
  await import("../src/main.ts");
} else {
  const node = fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url));
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  if (!existsSync(node)) {
    console.error(
      "UOOP needs Node 24 or newer, and the one that npm brings along is not there: run npm ci first.",
    );
    process.exit(1);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal tells the child as well; what is sent to us alone is passed on.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
}
