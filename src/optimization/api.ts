import type { PolicyRules, RoutingPolicy } from "../capacity/policy.ts";

/** A routing policy as it is written: how channels are chosen, and whose orders go by it. */
export interface PolicyBody extends PolicyRules {
  description?: string;
  /** Clients whose orders go by it; all others' go by `default`. A client has one policy at most. */
  clients?: readonly string[];
  /** It takes a share of the orders that would go by another one, to be compared with it. */
  experiment?: Experiment;
}

export interface Experiment {
  /** Id of the other policy. */
  of: string;
  /** 0 to 100; 0: it rests. */
  percent: number;
  /** What is drawn: a customer is always on the same side, or each order by itself. */
  by: "customer" | "order";
}

export interface PolicyView extends PolicyBody {
  id: string;
  version: number;
  /** RFC 3339; of this version. */
  updatedAt: string;
  updatedBy: string;
}

/** What decides which policy an order goes by. */
export interface PolicyKey {
  clientId: string;
  /** null: not known; then an experiment that draws by it takes no part. */
  customerId: string | null;
  orderId: string | null;
}

export interface PoliciesApi {
  /** Every policy at its newest version, by id; `default` always among them. */
  list(): Promise<readonly PolicyView[]>;
  /** Throws `policy_not_found`. */
  get(id: string, version?: number): Promise<PolicyView>;
  /** Newest first; at most `maxShownVersions`. Throws `policy_not_found`. */
  versions(id: string): Promise<readonly PolicyView[]>;
  /**
   * Makes the next version; the same as there is makes none. Other processes use it within seconds. Throws `validation_failed`
   * (each wrong field named), `policy_conflict` (with another policy), `version_conflict`.
   */
  put(
    id: string,
    body: PolicyBody,
    expectedVersion: number | null,
    by: { actor: string; source: string | null },
  ): Promise<PolicyView>;
  /** Throws `validation_failed` where `put` would for the policy by itself. */
  check(body: PolicyRules): void;
  /** Which policy an order goes by; from memory, under a microsecond. */
  policyFor(key: PolicyKey): RoutingPolicy;
}
