import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pick, type Random } from "../../src/channels/simulator/random.ts";
import { createLog } from "../../src/platform/log.ts";
import { ensureDatabase } from "../../src/platform/migrate.ts";
import { createPostgres, type EmbeddedPostgres } from "../../src/platform/postgres.ts";
import { type Disk, mountDisk } from "./disk.ts";
import { processGroup, signalAll } from "./process-tree.ts";
import { freePort, type Program, root, startProgram } from "./program.ts";
import { environmentOf, freeze, type Platform, runCheck, runningAt, type Struck } from "./programs.ts";
import { type NetworkProxy, startProxy } from "./proxy.ts";
import { createTakeoverMeasure } from "./takeover.ts";
import type { Blow } from "./victims.ts";

export interface FleetOptions {
  folder: string;
  processes: number;
  random: Random;
  /** Each process's clock is off by up to so many seconds, either way, anew at each start. */
  skewSeconds: number;
  /** The database's file system can be filled. */
  smallDisk: boolean;
}

const databaseName = "uoop";

/** One of the processes: its program changes with each start, its port stays. */
interface Member {
  name: string;
  port: number;
  program: Program;
  /** Whether it was us who ended it. */
  expected: boolean;
}

/**
 * Several `uoop start` on one PostgreSQL that is this run's own: it lives in a child of this process that watches over it and starts it
 * again, as the embedded one's process does. Proxies stand between the processes and the database, the processes and the channels, and
 * the channels and the processes.
 */
export async function startFleet(options: FleetOptions): Promise<Platform> {
  const databaseFolder = join(options.folder, "database");
  const disk = options.smallDisk ? mountDisk(databaseFolder) : null;
  const log = createLog("silent");
  const postgres = createPostgres({ folder: databaseFolder, log });
  await postgres.start();
  const kill = () => void (postgres.pid && signalAll(processGroup(postgres.pid), "SIGKILL"));
  process.once("exit", kill);
  await ensureDatabase(postgres.urlOf("postgres"), databaseName);
  const socket = join(new URL(postgres.urlOf(databaseName).replace("@/", "@x/")).searchParams.get("host")!);
  const toDatabase = await startProxy(() => [{ path: join(socket, ".s.PGSQL.5432") }], options.random, {
    forGood: true,
  });
  const fleet = new Fleet(options, postgres, disk, toDatabase);
  await fleet.begin();
  return fleet;
}

class Fleet implements Platform {
  readonly wrong: string[] = [];
  readonly #options: FleetOptions;
  readonly #postgres: EmbeddedPostgres;
  readonly #disk: Disk | null;
  readonly #proxies: NetworkProxy[];
  #members: Member[] = [];
  #balancer!: NetworkProxy;

  constructor(
    options: FleetOptions,
    postgres: EmbeddedPostgres,
    disk: Disk | null,
    toDatabase: NetworkProxy,
  ) {
    this.#options = options;
    this.#postgres = postgres;
    this.#disk = disk;
    this.#proxies = [toDatabase];
  }

  /** The first process alone, since it brings the database to its release and makes the key; then the others. */
  async begin(): Promise<void> {
    const ports = await Promise.all(Array.from({ length: this.#options.processes }, freePort));
    const starting = async (port: number, index: number): Promise<Member> => {
      const name = `p${index + 1}`;
      const member = { name, port, program: await this.#start(name, port), expected: false };
      this.#watch(member);
      return member;
    };
    const first = await starting(ports[0]!, 0);
    const others = await Promise.all(ports.slice(1).map((port, index) => starting(port, index + 1)));
    this.#members = [first, ...others];
    const listening = () => this.#members.map(({ port }) => ({ host: "127.0.0.1", port }));
    this.#balancer = await startProxy(listening, this.#options.random);
    this.#proxies.push(this.#balancer);
  }

  get urls(): readonly string[] {
    return this.#members.map(({ program }) => program.url);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#balancer.port}`;
  }

  get keyFile(): string {
    return join(this.#options.folder, "p1", "api-key");
  }

  async channelsAt(worldUrl: string): Promise<string> {
    const { hostname: host, port } = new URL(worldUrl);
    const toChannels = await startProxy(() => [{ host, port: Number(port) }], this.#options.random);
    this.#proxies.push(toChannels);
    return `http://127.0.0.1:${toChannels.port}`;
  }

  get #databaseUrl(): string {
    return this.#postgres.urlOf(databaseName);
  }

  #start(name: string, port: number): Promise<Program> {
    const { folder, random, skewSeconds } = this.#options;
    const databaseUrl = `postgresql://uoop@127.0.0.1:${this.#proxies[0]!.port}/${databaseName}`;
    const env = environmentOf({ dataDir: join(folder, name), port, databaseUrl });
    const skewMs = pick(random, { min: -skewSeconds * 1_000, max: skewSeconds * 1_000 });
    return startProgram({
      args: ["start"],
      nodeArgs: skewSeconds > 0 ? ["--import", join(root, "test", "chaos", "skew.ts")] : [],
      env: { ...env, CHAOS_SKEW_MS: String(skewMs) },
      says: runningAt,
      logFile: join(folder, `${name}.log`),
    });
  }

  #watch(member: Member): void {
    const { program } = member;
    void program.gone.then((code) => {
      if (member.program !== program || member.expected) return;
      this.wrong.push(`process ${member.name} ended by itself with code ${code}`);
    });
  }

  async #restart(member: Member): Promise<void> {
    member.program = await this.#start(member.name, member.port);
    member.expected = false;
    this.#watch(member);
  }

  async strike(blow: Blow): Promise<Struck> {
    const { victim, lastingMs } = blow;
    const chosen = this.#choose(blow);
    const postgres = () => (this.#postgres.pid === undefined ? [] : processGroup(this.#postgres.pid));
    switch (victim) {
      case "process":
      case "two":
        return this.#kill(chosen, blow);
      case "rolling":
        return this.#roll();
      case "cut":
      case "slow":
        for (const proxy of this.#proxies) proxy.set(victim);
        await pause(lastingMs);
        for (const proxy of this.#proxies) proxy.set("none");
        break;
      case "disk":
        if (this.#disk?.refused !== null)
          return { recoversFromMs: Date.now(), takeoverMs: null, skipped: this.#disk?.refused ?? "no disk" };
        await this.#disk.fill(this.#databaseUrl, lastingMs, blow.alsoLog);
        break;
      case "clock":
        process.kill(chosen[0]!.program.pid, "SIGUSR2");
        break;
      case "postgres":
        signalAll(postgres(), "SIGKILL");
        break;
      case "frozen-postgres":
        await freeze(postgres(), lastingMs);
        break;
      default:
        await freeze([chosen[0]!.program.pid], lastingMs);
    }
    return { recoversFromMs: Date.now(), takeoverMs: null };
  }

  #choose({ victim, choice }: Blow): readonly Member[] {
    const first = Math.floor(choice * this.#members.length);
    const count = victim === "two" ? Math.min(2, this.#members.length) : 1;
    return Array.from(
      { length: count },
      (_, index) => this.#members[(first + index) % this.#members.length]!,
    );
  }

  /** Together; they are started again together too, and how long their orders stood still is measured meanwhile. */
  async #kill(members: readonly Member[], { restartAfterMs }: Blow): Promise<Struck> {
    const pids = members.map(({ program }) => program.pid);
    for (const member of members) member.expected = true;
    const killedMs = Date.now();
    signalAll(pids, "SIGKILL");
    const takeover = createTakeoverMeasure(this.#databaseUrl).measure(pids, killedMs);
    takeover.catch(() => undefined); // awaited below
    await Promise.all(members.map(({ program }) => program.gone));
    await pause(restartAfterMs);
    const recoversFromMs = Date.now();
    await Promise.all(members.map((member) => this.#restart(member)));
    return { recoversFromMs, takeoverMs: await takeover };
  }

  /** SIGTERM and a new start, one after the other; nobody may notice. */
  async #roll(): Promise<Struck> {
    const recoversFromMs = Date.now();
    for (const member of this.#members) {
      member.expected = true;
      const code = await member.program.stop("SIGTERM");
      if (code !== 0) this.wrong.push(`process ${member.name} ended with code ${code} when asked to stop`);
      await this.#restart(member);
    }
    return { recoversFromMs, takeoverMs: null };
  }

  check: Platform["check"] = (options) => {
    const dataDir = join(this.#options.folder, "check");
    return runCheck(environmentOf({ dataDir, databaseUrl: this.#databaseUrl }), options);
  };

  async stop(): Promise<Readonly<Record<string, number | null>>> {
    const codes: Record<string, number | null> = {};
    for (const member of this.#members) {
      member.expected = true;
      codes[`process ${member.name}`] = await member.program.stop("SIGINT");
    }
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.#postgres.stop();
    this.#disk?.unmount();
    return codes;
  }
}
