import { compilePolicy, defaultPolicy, defaultPolicyId, type RoutingPolicy } from "../capacity/policy.ts";
import type { PolicyKey, PolicyView } from "./api.ts";

/** Which policy each order goes by, as one look-up. */
export interface PolicyBook {
  policyFor(key: PolicyKey): RoutingPolicy;
}

interface Assigned {
  id: string;
  policy: RoutingPolicy;
  by: "customer" | "order";
  /** Experiments on it, each with the percentage up to which a draw is its. */
  shares: readonly { upTo: number; policy: RoutingPolicy }[];
}

/** `policies`: oldest first, so that a new experiment moves no order of an older one. */
export function createBook(policies: readonly PolicyView[]): PolicyBook {
  const assigned = new Map(
    policies.filter(({ experiment }) => !experiment).map((view) => [view.id, assign(view, policies)]),
  );
  const fallback = assigned.get(defaultPolicyId) ?? assign({ id: defaultPolicyId }, policies);
  const byClient = new Map(
    policies.flatMap(({ id, clients = [] }) =>
      clients.map((client) => [client, assigned.get(id) ?? fallback] as const),
    ),
  );
  return {
    policyFor({ clientId, customerId, orderId }) {
      const { id, policy, by, shares } = byClient.get(clientId) ?? fallback;
      const whose = by === "customer" ? customerId : orderId;
      if (shares.length === 0 || whose === null) return policy;
      const drawn = drawOf(`${id} ${whose}`);
      return shares.find(({ upTo }) => drawn < upTo)?.policy ?? policy;
    },
  };
}

const compiled = (view: PolicyView): RoutingPolicy => compilePolicy(`${view.id}@${view.version}`, view);

function assign(view: PolicyView | { id: string }, policies: readonly PolicyView[]): Assigned {
  const experiments = policies.filter(({ experiment }) => experiment?.of === view.id);
  let upTo = 0;
  const shares = experiments.map((one) => {
    upTo += one.experiment!.percent;
    return { upTo, policy: compiled(one) };
  });
  return {
    id: view.id,
    policy: "version" in view ? compiled(view) : defaultPolicy,
    by: experiments[0]?.experiment?.by ?? "order",
    shares,
  };
}

/** A number from 0 to 100 that only depends on the text (FNV-1a, then MurmurHash3's finalizer, which spreads similar texts). */
function drawOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) * (100 / 2 ** 32);
}
