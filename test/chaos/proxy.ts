import { once } from "node:events";
import { connect, createServer, type NetConnectOpts, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { pick, type Random } from "../../src/channels/simulator/random.ts";

/** `cut`: connections break or go silent in the middle; `slow`: what is sent arrives late. */
export type Trouble = "none" | "cut" | "slow";

/** A TCP proxy that can make the network bad. */
export interface NetworkProxy {
  readonly port: number;
  /** How it is from now on, also for connections that are open. When it is over, those that went silent are cut, but for some. */
  set(trouble: Trouble): void;
  /** Connections that were broken or went silent so far. */
  readonly broken: number;
  stop(): Promise<void>;
}

/** Share of the pieces of data at which a connection breaks; one that carries a commit is the most interesting. */
const cutShare = 0.02;
const cutCommitShare = 0.15;
/** Of the breaks, so many make no noise: nothing passes any more, and nobody is told. */
const silentShare = 0.2;
/** Of those, so many for good: they are never cut, whoever waits has to give up by itself. */
const forGoodShare = 0.05;
/** Share of the pieces that are late, and by how much. */
const slowShare = 0.15;
const slowMs = { min: 20, max: 2_500 };
/** What was sent before a cut is let arrive: the other side does it, and its answer is lost. */
const arrivesMs = 100;

interface Link {
  near: Socket;
  far: Socket;
  silent: boolean;
  forGood: boolean;
}

/**
 * Passes on connections to the first of `targets` that takes one, beginning with another each time. What is cut when, and how late what
 * is, `random` decides; `forGood`: some go silent and stay so (each connection's timing remains the computer's own).
 */
export async function startProxy(
  targets: () => readonly NetConnectOpts[],
  random: Random,
  { forGood = false } = {},
): Promise<NetworkProxy> {
  const links = new Set<Link>();
  let trouble: Trouble = "none";
  let broken = 0;
  let turn = 0;

  const drop = (link: Link) => {
    links.delete(link);
    link.near.destroy();
    link.far.destroy();
  };

  /** Breaks the connection at this piece: before it, in the middle of it, after it, or silently. */
  function cut(link: Link, from: Socket, to: Socket, piece: Buffer): void {
    broken += 1;
    if (random() < silentShare) {
      link.silent = true;
      link.forGood = forGood && random() < forGoodShare;
      return;
    }
    const passes = [0, Math.ceil(piece.length / 2), piece.length][pick(random, { min: 0, max: 2 })]!;
    if (passes > 0) to.write(piece.subarray(0, passes));
    from.destroy();
    setTimeout(() => drop(link), arrivesMs);
  }

  function pass(link: Link, from: Socket, to: Socket): void {
    let before: Promise<unknown> = Promise.resolve();
    from.on("data", (piece) => {
      const lateMs = trouble === "slow" && random() < slowShare ? pick(random, slowMs) : 0;
      const share = piece.includes("commit") ? cutCommitShare : cutShare;
      const cuts = trouble === "cut" && random() < share;
      before = before.then(async () => {
        if (lateMs > 0) await pause(lateMs);
        if (link.silent || to.destroyed) return;
        if (cuts) return cut(link, from, to, piece);
        if (!to.write(piece)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
    });
    from.on("error", () => undefined);
    from.once("end", () => void before.then(() => to.end()));
    from.once("close", () => void before.then(() => (link.silent ? undefined : to.destroySoon())));
  }

  async function reach(): Promise<Socket | null> {
    const all = targets();
    turn += 1;
    for (let index = 0; index < all.length; index += 1) {
      const far = connect(all[(turn + index) % all.length]!);
      const taken = await new Promise<boolean>((resolve) => {
        far.once("connect", () => resolve(true));
        far.once("error", () => resolve(false));
      });
      if (taken) return far;
    }
    return null;
  }

  const server = createServer({ pauseOnConnect: true }, async (near) => {
    near.on("error", () => undefined);
    near.setNoDelay(true);
    const far = await reach();
    if (!far || near.destroyed) {
      far?.destroy();
      return void near.destroy();
    }
    far.setNoDelay(true);
    const link: Link = { near, far, silent: false, forGood: false };
    links.add(link);
    near.once("close", () => links.delete(link));
    pass(link, near, far);
    pass(link, far, near);
    near.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    set(next) {
      trouble = next;
      if (next === "none") for (const link of links) if (link.silent && !link.forGood) drop(link);
    },
    get broken() {
      return broken;
    },
    async stop() {
      server.close();
      for (const link of links) drop(link);
      await once(server, "close");
    },
  };
}
