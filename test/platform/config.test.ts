import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, describeConfig, listSettings, readConfig } from "../../src/platform/config.ts";
import { servicesOf } from "../../src/roles.ts";

test("nothing set gives every default, typed and frozen", () => {
  const config = readConfig({});
  assert.equal(config.PORT, 8080);
  assert.equal(config.roleSet.size, 6);
  assert.throws(() => Object.assign(config, { PORT: 1 }), TypeError);
});

test("numbers are read from text, and an empty variable counts as not set", () => {
  const config = readConfig({ PORT: "0", DATABASE_CONNECTIONS: "", MAX_BATCH_ORDERS: "500" });
  assert.deepEqual([config.PORT, config.DATABASE_CONNECTIONS, config.MAX_BATCH_ORDERS], [0, 8, 500]);
});

test("every wrong variable is named with what it should be", () => {
  const wrong = { PORT: "http", MAX_BATCH_ORDERS: "0", LOG_LEVEL: "loud", ROLES: "gateway,cook" };
  assert.throws(
    () => readConfig(wrong),
    (error) => {
      assert.ok(error instanceof ConfigError);
      for (const part of ["PORT=", "MAX_BATCH_ORDERS=", "LOG_LEVEL=", '"cook"', "default 8080"]) {
        assert.ok(error.message.includes(part), `${part} in ${error.message}`);
      }
      return true;
    },
  );
});

test("an option of the command line goes before the environment", () => {
  assert.deepEqual([...readConfig({ ROLES: "gateway" }, { ROLES: "relay" }).roleSet], ["relay"]);
});

test("the password of the database is never shown", () => {
  const shown = describeConfig(readConfig({ DATABASE_URL: "postgresql://ada:s3cret@db.example:5432/uoop" }));
  assert.equal(shown.DATABASE_URL, "postgresql://ada:***@db.example:5432/uoop");
});

test("every setting says what it is for", () => {
  assert.deepEqual(
    listSettings().filter(({ description }) => description === ""),
    [],
  );
});

test("a role starts its services, and one that lacks what it needs is refused with a sentence", () => {
  assert.deepEqual(servicesOf(new Set(["relay", "read-model"])), [
    "database",
    "partitions",
    "relay",
    "webhooks",
    "projector",
    "analyst",
  ]);
  assert.throws(
    () => servicesOf(new Set(["gateway", "capacity"])),
    /gateway needs orchestration in the same process/,
  );
});
