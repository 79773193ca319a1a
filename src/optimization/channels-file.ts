import type { AssignmentProblem } from "./problem.ts";

/** The file is not what it should be; the message says where and how. */
export class InstanceError extends Error {}

/** Orders in one call. */
const maxOrders = 100_000;
const maxUnits = 2 ** 31 - 1;

/**
 * Reads an order-to-channel instance:
 * `{ resources: [name…], unservedCost, channels: [{ capacity: [units by resource] }…], orders: [{ units: [by resource], cost: [by channel; null: may not serve] }…] }`.
 * Costs are numbers ≥ 0, units whole numbers ≥ 0; other fields are left alone. Throws InstanceError.
 */
export function parseChannelsFile(text: string): AssignmentProblem {
  const { resources, channels, orders, unservedCost } = parseObject(text);
  const names = list(resources, "resources");
  const channelList = list(channels, "channels");
  const orderList = list(orders, "orders");
  if (channelList.length === 0) throw new InstanceError("There are no channels.");
  if (orderList.length > maxOrders) {
    throw new InstanceError(`There are ${orderList.length} orders; ${maxOrders} is the limit of one call.`);
  }
  const stride = names.length;
  const problem = {
    orders: orderList.length,
    channels: channelList.length,
    resources: stride,
    cost: new Float64Array(orderList.length * channelList.length),
    use: new Int32Array(orderList.length * stride),
    orderStride: stride,
    channelStride: 0,
    capacity: new Int32Array(channelList.length * stride),
    unservedCost: price(unservedCost, "unservedCost"),
  };
  for (const [k, channel] of channelList.entries()) {
    const where = `channels[${k}].capacity`;
    const units = listOf(stride, member(channel, "capacity"), where);
    for (let r = 0; r < stride; r += 1) problem.capacity[k * stride + r] = whole(units[r], where, r);
  }
  if (stride > 0 && problem.capacity.every((units) => units === 0)) {
    throw new InstanceError("No channel has any capacity.");
  }
  for (const [j, order] of orderList.entries()) readOrder(order, j, problem);
  return problem;
}

function readOrder(order: unknown, j: number, { channels, resources, use, cost }: AssignmentProblem): void {
  const units = listOf(resources, member(order, "units"), `orders[${j}].units`);
  for (let r = 0; r < resources; r += 1) use[j * resources + r] = whole(units[r], `orders[${j}].units`, r);
  const costs = listOf(channels, member(order, "cost"), `orders[${j}].cost`);
  for (let k = 0; k < channels; k += 1) {
    const each = costs[k];
    cost[j * channels + k] =
      each === null ? Number.POSITIVE_INFINITY : price(each, () => `orders[${j}].cost[${k}]`);
  }
}

function parseObject(text: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InstanceError(`It is not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new InstanceError("It is not a JSON object.");
  }
  return parsed as Record<string, unknown>;
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;

function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new InstanceError(`${where} is not a list.`);
  return value;
}

function listOf(length: number, value: unknown, where: string): readonly unknown[] {
  const all = list(value, where);
  if (all.length !== length) throw new InstanceError(`${where} has ${all.length} entries, not ${length}.`);
  return all;
}

function whole(value: unknown, where: string, index: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= maxUnits) return value;
  throw new InstanceError(`${where}[${index}] is not a whole number from 0 to ${maxUnits}.`);
}

function price(value: unknown, where: string | (() => string)): number {
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new InstanceError(`${typeof where === "string" ? where : where()} is not a number of 0 or more.`);
}
