import { resolve } from "node:path";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";

const roles = ["gateway", "orchestration", "optimization", "capacity", "relay", "read-model"] as const;
export type Role = (typeof roles)[number];

const text = (fallback: string, description: string) => Type.String({ default: fallback, description });
const integer = (fallback: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: fallback, minimum, maximum, description });

/** One of these words; the first is the default. */
const oneOf = <const T extends readonly [string, ...string[]]>(values: T, description: string) =>
  Type.Unsafe<T[number]>({ type: "string", enum: values, default: values[0], description });

/** Every variable that the program reads, with its default and what it is for. Nobody else touches process.env. */
const schema = Type.Object({
  PORT: integer(8080, 0, 65_535, "HTTP port of the gateway; 0 takes a free one"),
  HOST: text("127.0.0.1", "address that the gateway listens on"),
  ROLES: text(roles.join(","), "roles that this process plays, comma-separated"),
  DATA_DIR: text("./.uoop", "folder for the embedded database, keys and archive"),
  DATABASE_URL: text("", "PostgreSQL to use instead of the embedded one"),
  LOG_LEVEL: oneOf(
    ["info", "trace", "debug", "warn", "error", "silent"],
    "least level that is logged (JSON lines on stderr)",
  ),
  ROUTING_METHOD: oneOf(
    ["weighted", "round_robin"],
    "weighted: by the routing policy; round_robin: channels in turn",
  ),
  BID_PRICES_EVERY_MS: integer(
    1_000,
    0,
    60_000,
    "how often prices of room that will be short are made anew from recent demand; 0: never",
  ),
  EXAMPLE_NETWORK: oneOf(
    ["on", "off"],
    "on: an empty database is given an example network and the channel simulator is started",
  ),
  SIMULATOR_PORT: integer(8081, 0, 65_535, "HTTP port of the channel simulator; 0 takes a free one"),
  ANSWER_WITHIN_MS: integer(
    2_000,
    0,
    60_000,
    "how long POST /v1/orders waits for the saga before it answers 202",
  ),
  MAX_BATCH_ORDERS: integer(2_000, 1, 10_000, "orders in one commit at most"),
  MAX_QUEUED_ORDERS: integer(20_000, 1, 1_000_000, "orders waiting for intake at most; beyond it 503"),
  DATABASE_CONNECTIONS: integer(8, 2, 100, "connections to PostgreSQL"),
  SLOT_DAYS_AHEAD: integer(14, 1, 60, "local days beyond today for which schedules' slots are made"),
  LATE_AFTER_MINUTES: integer(
    0,
    0,
    1_440,
    "how long after its promised window an order on its way is said to be late",
  ),
  REPORTS_WITHIN_MINUTES: integer(
    120,
    0,
    10_080,
    "how long after its promised window an order whose channel reports no end becomes undelivered",
  ),
  UNDO_WITHIN_MINUTES: integer(15, 1, 1_440, "how long an undo is tried before the order is stuck"),
  STUCK_AGAIN_MINUTES: integer(1_440, 1, 10_080, "how often the undo of a stuck order is tried again"),
  BREAKER_FAILURES: integer(5, 1, 1_000, "calls to a channel that fail in a row until its circuit opens"),
  BREAKER_RECOVERY_MS: integer(
    30_000,
    100,
    3_600_000,
    "how long a channel whose circuit is open is left alone; then one call tries",
  ),
  BREAKER_MONITOR_MS: integer(
    10_000,
    50,
    3_600_000,
    "how often channels that are down are probed once that has passed",
  ),
  RECONCILE_EVERY_SECONDS: integer(
    60,
    0,
    86_400,
    "how often a part of each partner's bookings is compared with ours; 0: never",
  ),
  PERFORMANCE_HALF_LIFE_HOURS: integer(
    168,
    1,
    8_760,
    "after how long what a channel did weighs half as much in its quality",
  ),
  QUALITY_PRIOR_ORDERS: integer(
    20,
    0,
    100_000,
    "how many orders the quality that operations set counts as, beside what was measured",
  ),
  HEALTH_HALF_LIFE_MINUTES: integer(
    30,
    1,
    1_440,
    "after how long failed calls and late orders weigh half as much in a channel's health",
  ),
  OWNER_LEASE_MS: integer(
    2_000,
    500,
    60_000,
    "a process that has not renewed for this long loses its orders",
  ),
  WEBHOOK_TARGETS: oneOf(
    ["public", "any"],
    "public: webhooks go to https addresses of the internet only; any: also to private ones and http, for development",
  ),
});

export type Environment = Static<typeof schema>;

export interface Config extends Readonly<Environment> {
  readonly dataDir: string;
  readonly roleSet: ReadonlySet<Role>;
}

/** A variable is wrong; the message says which and what to do. */
export class ConfigError extends Error {}

/**
 * Reads the configuration once; `overrides` (options of the command line) go before the environment. Throws a sentence
 * per wrong variable, saying what to do.
 */
export function readConfig(
  environment: NodeJS.ProcessEnv = process.env,
  overrides: Partial<Record<keyof Environment, string>> = {},
): Config {
  const env: NodeJS.ProcessEnv = { ...environment, ...overrides };
  const given: Record<string, unknown> = {};
  const wrong: string[] = [];
  for (const name of Object.keys(schema.properties)) {
    const value = env[name];
    if (value !== undefined && value !== "")
      given[name] = Value.Convert(schema.properties[name as keyof Environment], value);
  }
  const filled = Value.Default(schema, given) as Environment;
  for (const error of Value.Errors(schema, filled)) {
    const name = error.instancePath.slice(1);
    const allowed = (error.params as { allowedValues?: readonly unknown[] }).allowedValues;
    const should = allowed ? `must be one of ${allowed.join(", ")}` : error.message;
    wrong.push(`${name}=${JSON.stringify(env[name])} ${should}; ${describeVariable(name)}`);
  }
  const wanted = String(filled.ROLES)
    .split(",")
    .map((role) => role.trim());
  for (const role of wanted) {
    if (!(roles as readonly string[]).includes(role))
      wrong.push(`ROLES names "${role}"; the roles are ${roles.join(", ")}`);
  }
  if (wrong.length > 0) throw new ConfigError(`The configuration can't be used:\n- ${wrong.join("\n- ")}`);
  return Object.freeze({ ...filled, dataDir: resolve(filled.DATA_DIR), roleSet: new Set(wanted as Role[]) });
}

const describeVariable = (name: string): string => {
  const property = schema.properties[name as keyof Environment] as
    | { description?: string; default?: unknown }
    | undefined;
  return property
    ? `it is the ${property.description} (default ${JSON.stringify(property.default)})`
    : "unknown";
};

/** For the start: every setting in one line each, secrets masked. */
export function describeConfig(config: Config): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const name of Object.keys(schema.properties) as (keyof Environment)[]) shown[name] = config[name];
  if (config.DATABASE_URL)
    shown.DATABASE_URL = config.DATABASE_URL.replace(/\/\/([^:@/]+):[^@/]+@/, "//$1:***@");
  return shown;
}

/** Every setting with its default and what it is for; docs/operating.md lists them. */
export function listSettings(): readonly { name: string; fallback: string; description: string }[] {
  return Object.entries(schema.properties).map(([name, property]) => {
    const { default: fallback, description } = property as { default?: unknown; description?: string };
    return { name, fallback: String(fallback ?? ""), description: description ?? "" };
  });
}
