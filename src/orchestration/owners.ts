import { type Clock, sleep } from "../platform/clock.ts";
import { type Database, statement } from "../platform/database.ts";
import type { Ids } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";
import type { OwnerIdentity } from "./store.ts";

/**
 * This process's lease on the orders that it carries. The lease is one row, renewed on the database's clock; every write of a
 * saga proves the row's epoch. When a lease lapses, another process bumps the epoch (waiting out what is in flight) and
 * takes the orders over: the old one's writes then do nothing, whenever it wakes (I8).
 */
export interface Owners extends Service {
  identity(): OwnerIdentity;
  /** Tells that a write found the lease gone; a new one is taken at once. */
  lost(): void;
}

export interface OwnersDependencies {
  database: Database;
  clock: Clock;
  ids: Ids;
  log: Log;
  leaseMs: number;
  /** `host:pid`, for people. */
  process: string;
  /** True where a lock says that this process is alone on the database: then nobody else's lease is waited out. */
  exclusive: boolean;
  /** Orders of a lapsed owner are this process's now. */
  onTakenOver(orderIds: readonly string[]): void;
  /** The own lease was taken: whatever was carried is somebody else's. */
  onLost(): void;
}

const register = statement(
  "owners_register",
  "insert into owners (id, lease_until, process) values ($1, now() + $2 * interval '1 ms', $3) returning epoch",
);
const renew = statement(
  "owners_renew",
  "update owners set lease_until = now() + $3 * interval '1 ms' where id = $1 and epoch = $2 returning epoch",
);
const release = statement(
  "owners_release",
  "update owners set lease_until = now() where id = $1 and epoch = $2",
);
// `for update` waits for every transaction that proved the old epoch; after the bump none can any more. A lapsed row is
// found again until its last order has moved, so a sweep that dies half way is finished by the next.
const seize = statement(
  "owners_seize",
  `update owners o set epoch = epoch + 1, lease_until = now()
   from (select id from owners where id <> $1 and (lease_until < now() or $2) order by id for update) lapsed
   where o.id = lapsed.id returning o.id`,
);
const moveOrders = statement(
  "owners_move_orders",
  `update orders set owner_id = $1
   where id in (select id from orders where owner_id = $2 order by id limit $3 for update skip locked) returning id`,
);
const forget = statement(
  "owners_forget",
  "delete from owners where id = $1 and not exists (select from orders where owner_id = $1)",
);

const beatsPerLease = 4;
/** Orders moved in one statement at most. */
const maxMovedOrders = 1_000;

export function createOwners(dependencies: OwnersDependencies): Owners {
  const { database, clock, ids, log, leaseMs } = dependencies;
  let identity: OwnerIdentity = { id: "own_none", epoch: 0 };
  let stopped = true;
  let forgetTimer: () => void = () => undefined;
  let registering: Promise<void> | null = null;
  let lastBeatMs = 0;
  let patientBeats = 0;

  async function registerAnew(): Promise<void> {
    const id = ids.create("own", clock.nowMs());
    const [row] = await database.run<{ epoch: number }>(register, [id, leaseMs, dependencies.process]);
    identity = { id, epoch: row!.epoch };
  }

  /** Only one registration at a time; what was carried before it is given up first. */
  function reregister(): Promise<void> {
    registering ??= (async () => {
      log.warn({ owner: identity.id }, "the lease was taken by another process; starting anew");
      dependencies.onLost();
      await registerAnew();
    })().finally(() => {
      registering = null;
    });
    return registering;
  }

  async function beat(): Promise<void> {
    const renewed = await database.run(renew, [identity.id, identity.epoch, leaseMs]);
    if (renewed.length === 0) await reregister();
    // After an outage of the database itself every lease has lapsed: the others have as long as a lease to renew theirs. (Counted
    // in beats: a clock that is set back must not make that long.)
    const nowMs = clock.nowMs();
    if (nowMs - lastBeatMs >= leaseMs) patientBeats = beatsPerLease;
    else if (patientBeats > 0) patientBeats -= 1;
    lastBeatMs = nowMs;
    if (patientBeats === 0) await sweep(dependencies, identity, false);
  }

  function beatLater(): void {
    if (stopped) return;
    forgetTimer = clock.after(leaseMs / beatsPerLease, () => {
      const beaten = beat().catch((error: unknown) =>
        log.warn({ error }, "the lease could not be renewed; trying again"),
      );
      // On a connection that is dead without anybody saying so, an answer is long in not coming.
      void Promise.race([beaten, sleep(clock, leaseMs)]).then(beatLater);
    });
  }

  return {
    name: "owners",
    identity: () => identity,
    async start() {
      stopped = false;
      await registerAnew();
      lastBeatMs = clock.nowMs();
      await sweep(dependencies, identity, dependencies.exclusive);
      beatLater();
    },
    async stop() {
      if (stopped) return;
      stopped = true;
      forgetTimer();
      await database.run(release, [identity.id, identity.epoch]);
    },
    lost() {
      void reregister().catch((error: unknown) =>
        log.error({ error }, "no new lease could be taken; trying again at the next beat"),
      );
    },
  };
}

/** Takes over what lapsed owners carried, in batches; an owner without orders is forgotten. */
async function sweep(
  dependencies: OwnersDependencies,
  self: OwnerIdentity,
  everyone: boolean,
): Promise<void> {
  const { database, log } = dependencies;
  for (const lapsed of await database.run<{ id: string }>(seize, [self.id, everyone])) {
    let moved = 0;
    for (;;) {
      const rows = await database.run<{ id: string }>(moveOrders, [self.id, lapsed.id, maxMovedOrders]);
      moved += rows.length;
      if (rows.length > 0) dependencies.onTakenOver(rows.map((row) => row.id));
      if (rows.length < maxMovedOrders) break;
    }
    await database.run(forget, [lapsed.id]);
    log.info({ owner: lapsed.id, orders: moved }, "took over the orders of a process that is gone");
  }
}
