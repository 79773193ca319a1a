import { Compile } from "typebox/compile";
import type { ChannelLedger } from "./api.ts";
import type { Endpoint, EndpointSettings } from "./endpoint.ts";
import { type Addressee, LedgerPage, LedgerState } from "./protocol.ts";

const pageShape = Compile(LedgerPage);
const stateShape = Compile(LedgerState);
const keyPattern = /^ord_[0-9a-hjkmnp-tv-z]{26}\.\d{1,3}\.\d{1,4}$/;

/** Asks an address after its bookings, with its breaker and its limit of calls. What can't be read counts as not said. */
export function ledgerOf(endpoint: Endpoint, to: Addressee, settings: EndpointSettings): ChannelLedger {
  return {
    ...(to.partner === undefined ? {} : { partner: to.partner }),
    async list(cursor, limit) {
      const said = await endpoint.say(settings, {
        call: "list",
        ...(cursor === null ? {} : { cursor }),
        limit,
      });
      if (!pageShape.Check(said)) return null;
      const items = said.items.flatMap(({ key, state }) =>
        state !== "none" && keyPattern.test(key) ? [{ key, state }] : [],
      );
      return { items, nextCursor: said.nextCursor };
    },
    async status(key) {
      const said = await endpoint.say(settings, { call: "status", key });
      return stateShape.Check(said) && said.key === key ? { key, state: said.state } : null;
    },
  };
}
