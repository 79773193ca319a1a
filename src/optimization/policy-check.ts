import { type ChannelType, channelTypes, vehicles } from "../capacity/api.ts";
import { defaultPolicyId, type PolicyRules, type Rule } from "../capacity/policy.ts";
import type { FieldError } from "../platform/errors.ts";
import type { PolicyBody } from "./api.ts";

/** What is wrong with a policy by itself; nothing: it can be used. Also for what did not come over HTTP, such as old rows. */
export function checkPolicy({ weights, limits = {}, rules = [] }: PolicyRules): readonly FieldError[] {
  const wrong: FieldError[] = [];
  const say = (pointer: string, message: string) => void wrong.push({ pointer, message });
  const isBad = (value: number) => !Number.isFinite(value) || value < 0;
  for (const name of ["cost", "time", "quality", "capacity"] as const) {
    if (isBad(weights[name])) say(`/weights/${name}`, "must be a number of at least 0");
  }
  if (Object.values(weights).every((weight) => weight === 0)) {
    say("/weights", "must not all be 0: then nothing tells one channel from another");
  }
  for (const name of ["maxCostMinor", "maxDistanceMeters", "maxEtaMinutes"] as const) {
    if (limits[name] !== undefined && isBad(limits[name]))
      say(`/limits/${name}`, "must be a number of at least 0");
  }
  checkWords("/limits/channelTypes", limits.channelTypes, channelTypes, say);
  checkWords("/limits/vehicles", limits.vehicles, vehicles, say);
  const names = new Set<string>();
  for (const [index, rule] of rules.entries()) {
    const pointer = `/rules/${index}`;
    if (names.has(rule.name)) say(`${pointer}/name`, `must not be "${rule.name}" twice`);
    names.add(rule.name);
    checkRule(rule, pointer, say);
  }
  if (wrong.length === 0) checkContradictions(limits.channelTypes ?? channelTypes, rules, say);
  return wrong;
}

type Say = (pointer: string, message: string) => void;

function checkWords(
  pointer: string,
  words: readonly string[] | undefined,
  known: readonly string[],
  say: Say,
): void {
  if (words?.length === 0) say(pointer, "must not be empty: then nothing is left");
  for (const word of words ?? []) {
    if (!known.includes(word)) say(pointer, `holds "${word}", which is none of ${known.join(", ")}`);
  }
}

function checkRule({ when, channels, effect, by }: Rule, pointer: string, say: Say): void {
  const hasAmount = effect === "prefer" || effect === "avoid";
  if (hasAmount && (by === undefined || !Number.isFinite(by) || by <= 0)) {
    say(`${pointer}/by`, `must be a number above 0: by how much to ${effect} them`);
  }
  if (!hasAmount && by !== undefined) say(`${pointer}/by`, `is only for prefer and avoid; remove it`);
  checkWords(`${pointer}/channels/types`, channels?.types, channelTypes, say);
  if (effect === "only" && channels === undefined) {
    say(`${pointer}/channels`, "is missing: only which channels?");
  }
  if (effect === "never" && channels === undefined) {
    say(`${pointer}/channels`, "is missing: without it no channel would be left for these orders");
  }
  const zone = when?.zone;
  if (zone && "polygon" in zone && zone.polygon.length < 3)
    say(`${pointer}/when/zone/polygon`, "must have 3 corners or more");
  if (zone && !("polygon" in zone) && !(zone.radiusMeters > 0)) {
    say(`${pointer}/when/zone/radiusMeters`, "must be above 0");
  }
}

/** Limits and rules of which no channel type can be left: that what is for all orders allows, less what it forbids. */
function checkContradictions(allowed: readonly ChannelType[], rules: readonly Rule[], say: Say): void {
  let left = [...allowed];
  const isForAll = ({ when }: Rule) => when === undefined || Object.keys(when).length === 0;
  const byTypes = rules.map((rule, index) => ({ rule, index })).filter(({ rule }) => rule.channels?.types);
  for (const { rule, index } of byTypes.filter((one) => isForAll(one.rule))) {
    const types = rule.channels!.types!;
    if (rule.effect === "only") left = left.filter((type) => types.includes(type));
    if (rule.effect === "never" && !rule.channels!.ids) left = left.filter((type) => !types.includes(type));
    if (left.length === 0) {
      say(
        `/rules/${index}`,
        `contradicts the limits or the rules before: no channel type is left by "${rule.name}"`,
      );
      return;
    }
  }
  for (const { rule, index } of byTypes.filter((one) => !isForAll(one.rule))) {
    if (rule.effect !== "only" || rule.channels!.types!.some((type) => left.includes(type))) continue;
    say(
      `/rules/${index}`,
      `"${rule.name}" allows only ${rule.channels!.types!.join(", ")}, which the limits or other rules exclude`,
    );
  }
}

/** Why a policy can't stand beside the others; null: it can. */
export function conflictOf(
  id: string,
  { clients = [], experiment }: PolicyBody,
  others: readonly (PolicyBody & { id: string })[],
): string | null {
  if (id === defaultPolicyId && (clients.length > 0 || experiment)) {
    return "default is for all clients that have no other policy: it takes neither clients nor an experiment.";
  }
  if (clients.length > 0 && experiment) return "A policy is either some clients' or an experiment, not both.";
  for (const other of others) {
    const shared = other.clients?.find((client) => clients.includes(client));
    if (shared) return `Client ${shared} has the policy ${other.id}; take it from there first.`;
  }
  return experiment ? conflictOfExperiment(id, experiment, others) : null;
}

function conflictOfExperiment(
  id: string,
  { of, percent, by }: NonNullable<PolicyBody["experiment"]>,
  others: readonly (PolicyBody & { id: string })[],
): string | null {
  const base = others.find((other) => other.id === of);
  if (of !== defaultPolicyId && !base) return `There is no policy ${of} to take a share of.`;
  if (base?.experiment) return `${of} is an experiment itself; take a share of ${base.experiment.of}.`;
  if (others.some((other) => other.experiment?.of === id)) return `Another policy takes a share of ${id}.`;
  const beside = others.flatMap((other) => (other.experiment?.of === of ? [other.experiment] : []));
  const sum = beside.reduce((total, one) => total + one.percent, percent);
  if (sum > 100) return `Experiments would take ${sum} % of the orders of ${of}.`;
  if (beside.some((one) => one.by !== by))
    return `The other experiments on ${of} draw by ${beside[0]!.by}; so must this one.`;
  return null;
}
