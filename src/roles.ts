import { ConfigError, type Role } from "./platform/config.ts";

/** The long-lived parts of the program, in the order in which they start. They stop in reverse. */
const serviceNames = [
  "database",
  "partitions",
  "channels",
  "capacity",
  "policies",
  "couriers",
  "steerer",
  "performance",
  "relay",
  "webhooks",
  "projector",
  "analyst",
  "sealer",
  "feed",
  "orchestration",
  "reconciler",
  "gateway",
] as const;
export type ServiceName = (typeof serviceNames)[number];

interface RoleRow {
  does: string;
  services: readonly ServiceName[];
  /** Roles whose context it calls directly, so they must be played by the same process. */
  needs: readonly Role[];
}

/** What each role does, which services it starts, and what it can't do without. */
export const roleTable: Readonly<Record<Role, RoleRow>> = {
  gateway: { does: "answers HTTP", services: ["feed", "gateway"], needs: ["orchestration", "capacity"] },
  orchestration: {
    does: "takes orders in and carries them to their end",
    services: ["channels", "sealer", "orchestration", "reconciler"],
    needs: ["capacity", "optimization"],
  },
  optimization: {
    does: "chooses channels, plans courier routes",
    services: ["policies", "couriers", "steerer"],
    needs: [],
  },
  capacity: {
    does: "keeps channels, slots and who has room",
    services: ["capacity", "performance"],
    needs: [],
  },
  relay: {
    does: "moves events from the outbox to the bus and to webhooks",
    services: ["relay", "webhooks"],
    needs: [],
  },
  "read-model": {
    does: "projects the bus into what GETs read, and measures channels",
    services: ["projector", "analyst"],
    needs: [],
  },
};

/** Services that these roles start, in order. Throws a sentence when a role lacks one that it needs. */
export function servicesOf(roles: ReadonlySet<Role>): readonly ServiceName[] {
  const wanted = new Set<ServiceName>(["database", "partitions"]);
  for (const role of roles) {
    for (const needed of roleTable[role].needs) {
      if (!roles.has(needed))
        throw new ConfigError(`The role ${role} needs ${needed} in the same process; add it to ROLES.`);
    }
    for (const service of roleTable[role].services) wanted.add(service);
  }
  return serviceNames.filter((name) => wanted.has(name));
}
