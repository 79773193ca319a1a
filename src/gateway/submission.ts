import * as currencies from "currency-codes";
import type { OrderChange, Submission } from "../orchestration/api.ts";
import type { PersonalData } from "../orchestration/order.ts";
import type { Clock } from "../platform/clock.ts";
import { UoopError } from "../platform/errors.ts";
import { type Ids, isId } from "../platform/ids.ts";
import type { Principal } from "./keys.ts";
import { maxMetadataBytes, maxMetadataDepth, type NewOrder, type OrderPatch } from "./schemas-orders.ts";
import { wrongFields } from "./validation.ts";

/** Who places an order, from where and under which key. */
export interface Placing {
  principal: Principal;
  source: string | null;
  /** As the client gave it; undefined: externalId is the key, and without that the server makes one. */
  idempotencyKey: string | undefined;
}

const knownCurrencies = new Set(currencies.codes());

/**
 * Times in one notation (UTC, milliseconds), so that the same order written in two is the same order. What is written
 * so already, or without a fraction, as nearly all are, is not computed anew.
 */
export function toUtc(instant: string): string {
  if (instant.length === 24 && instant.endsWith("Z")) return instant;
  if (instant.length === 20) return `${instant.slice(0, 19)}.000Z`;
  return new Date(instant).toISOString();
}

/**
 * What the schemas can't say, checked: ISO 4217, the window's order, the metadata's size. Returns what orchestration
 * takes, or the error to answer with. Whether the window has passed is not asked here: a replay is known before.
 */
export function toSubmission(
  body: NewOrder,
  placing: Placing,
  world: { clock: Clock; ids: Ids },
): Submission | UoopError {
  const wrong = checkCurrency(body.currency, "/currency") ?? checkMetadata(body.metadata);
  if (wrong) return wrong;
  const window = { start: toUtc(body.delivery.window.start), end: toUtc(body.delivery.window.end) };
  if (window.end <= window.start) return reversed("/delivery/window/end");
  const { location, vehicle } = body.delivery;
  return {
    clientId: placing.principal.clientId,
    by: { actor: placing.principal.actor, source: placing.source },
    ...chooseKey(placing.idempotencyKey, body.externalId, world),
    order: {
      ...(body.externalId === undefined ? {} : { externalId: body.externalId }),
      customerId: body.customerId,
      currency: body.currency,
      items: itemsOf(body.items),
      delivery: {
        location: { lat: location.lat, lng: location.lng },
        window,
        ...(vehicle === undefined ? {} : { vehicle }),
      },
      priority: body.priority ?? "standard",
      ...routingOf(body.routing),
      metadata: body.metadata ?? {},
    },
    personal: personalOf(body.delivery),
  };
}

/**
 * Three namespaces, so that a client's header can't meet another order's externalId. A key that the server made is
 * recognised when the client sends it back: then it is the same order again.
 */
function chooseKey(
  header: string | undefined,
  externalId: string | undefined,
  { clock, ids }: { clock: Clock; ids: Ids },
): Pick<Submission, "keyNamespace" | "idempotencyKey"> {
  if (header !== undefined)
    return { keyNamespace: isId("key", header) ? "server" : "header", idempotencyKey: header };
  if (externalId !== undefined) return { keyNamespace: "external", idempotencyKey: externalId };
  return { keyNamespace: "server", idempotencyKey: ids.create("key", clock.nowMs()) };
}

export function routingOf(routing: NewOrder["routing"]): Pick<Submission["order"], "routing"> {
  if (routing === undefined) return {};
  const { channelTypes, maxCostMinor } = routing;
  return {
    routing: {
      ...(channelTypes === undefined ? {} : { channelTypes }),
      ...(maxCostMinor === undefined ? {} : { maxCostMinor }),
    },
  };
}

/** A change as orchestration takes it, or the error to answer with. */
export function toChange({ items, delivery = {} }: OrderPatch): OrderChange | UoopError {
  const { location, window: given } = delivery;
  const window = given && { start: toUtc(given.start), end: toUtc(given.end) };
  if (window && window.end <= window.start) return reversed("/delivery/window/end");
  const personal = personalOf(delivery);
  return {
    ...(items ? { items: itemsOf(items) } : {}),
    ...(location ? { location: { lat: location.lat, lng: location.lng } } : {}),
    ...(window ? { window } : {}),
    ...(personal ? { personal } : {}),
  };
}

const itemsOf = (items: NewOrder["items"]) =>
  items.map(({ sku, quantity, unitPriceMinor }) => ({ sku, quantity, unitPriceMinor }));

type GivenPersonal = Pick<NewOrder["delivery"], "address" | "contact" | "instructions">;

function personalOf({ address, contact, instructions }: GivenPersonal): PersonalData | null {
  if (address === undefined && contact === undefined && instructions === undefined) return null;
  return {
    ...(address === undefined ? {} : { address: addressOf(address) }),
    ...(contact === undefined ? {} : { contact: { name: contact.name, phone: contact.phone } }),
    ...(instructions === undefined ? {} : { instructions }),
  };
}

const addressOf = (given: NonNullable<PersonalData["address"]>): NonNullable<PersonalData["address"]> => ({
  line1: given.line1,
  ...(given.line2 === undefined ? {} : { line2: given.line2 }),
  city: given.city,
  ...(given.postalCode === undefined ? {} : { postalCode: given.postalCode }),
  countryCode: given.countryCode,
});

export const reversed = (pointer: string): UoopError =>
  new UoopError("window_reversed", "The window must end after it starts.", {
    fields: [{ pointer, message: "must be after start" }],
  });

export const checkCurrency = (code: string, pointer: string): UoopError | null =>
  knownCurrencies.has(code)
    ? null
    : new UoopError("currency_unknown", `"${code}" is not a currency of ISO 4217; AED is one, for example.`, {
        fields: [{ pointer, message: "must be an ISO 4217 code" }],
      });

function checkMetadata(metadata: Record<string, unknown> | undefined): UoopError | null {
  if (metadata === undefined) return null;
  const wrong = problemOf(metadata, 1);
  if (wrong !== null) return wrongFields([{ pointer: "/metadata", message: wrong }]);
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  if (bytes <= maxMetadataBytes) return null;
  return wrongFields([
    { pointer: "/metadata", message: `must be at most ${maxMetadataBytes} bytes; it is ${bytes}` },
  ]);
}

/** NUL and lone surrogates can't be stored as JSON by PostgreSQL, whose text they would end up in. */
function problemOf(value: unknown, depth: number): string | null {
  if (typeof value === "string") return isStorable(value) ? null : "must hold no NUL and no broken Unicode";
  if (typeof value === "number") return Number.isFinite(value) ? null : "must hold no number beyond 1.8e308";
  if (typeof value !== "object" || value === null) return null;
  if (depth > maxMetadataDepth) return `must be at most ${maxMetadataDepth} levels deep`;
  for (const [name, inner] of Object.entries(value)) {
    const wrong = isStorable(name)
      ? problemOf(inner, depth + 1)
      : "must hold no NUL and no broken Unicode in names";
    if (wrong !== null) return wrong;
  }
  return null;
}

const isStorable = (text: string): boolean => !text.includes("\u0000") && text.isWellFormed();
