/**
 * Orders to channels, as solvers see it: plain data, so that it can be handed to a worker. Each order goes to one channel or
 * is left unserved at a price; what a channel takes of each resource stays within its capacity. (The generalised
 * assignment problem, with several resources and a choice not to serve.)
 */
export interface AssignmentProblem {
  orders: number;
  channels: number;
  resources: number;
  /** By order, then channel; Infinity where the channel may not serve the order. */
  cost: Float64Array;
  /**
   * What an order takes: `use[order * orderStride + channel * channelStride + resource]`. A `channelStride` of 0 says that an
   * order takes the same wherever it goes.
   */
  use: Int32Array;
  orderStride: number;
  channelStride: number;
  /** By channel, then resource. */
  capacity: Int32Array;
  /** The price of leaving an order unserved; Infinity: all must be served. */
  unservedCost: number;
}

/** What a solver found, and what it proved. */
export interface AssignmentSolution {
  /** Channel by order; -1: unserved. */
  assignment: Int32Array;
  /** Sum of costs, unserved orders' price included. Infinity when nothing feasible was found. */
  objective: number;
  /** No solution can be below it: the gap is at most (objective - bound) / bound. */
  bound: number;
  /** `optimal`: proven. `feasible`: within its bound. `infeasible`: proven that none exists. `unknown`: nothing was found in time. */
  status: "optimal" | "feasible" | "infeasible" | "unknown";
  method: string;
}
