import assert from "node:assert/strict";
import { test } from "node:test";
import { missingEntries, readLock } from "./lock.ts";

test("the lock file has every optional dependency, or npm ci would refuse it (npm run lock adds them)", () => {
  assert.deepEqual(Object.keys(missingEntries(readLock())), []);
});
