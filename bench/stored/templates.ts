import { createSigner } from "../../src/channels/signature.ts";
import type { Stage } from "../bench.ts";
import { must } from "../http.ts";
import type { Books } from "../measure/database.ts";
import { settle } from "../verify.ts";

/** Orders that stored ones are copies of. */
const templateCount = 60;

interface Template {
  id: string;
  channelId: string;
  attemptKey: string;
}

// Partners have bookings in the simulator's ledger, which copies could not have.
const candidates = `
  select o.id, a.channel_id as "channelId", format('%s.%s.%s', a.order_id, a.leg, a.attempt) as "attemptKey"
  from orders o join attempts a on a.order_id = o.id join channels c on c.id = a.channel_id
  where o.status = 'confirmed' and a.booking = 'booked' and a.held and c.type in ('internal_kitchen', 'dark_store')
  order by right(o.id, 6) limit $1`;

/** Has some of the orders delivered, as their channels would report it, so that every table holds what a delivered order leaves. */
export async function deliverTemplates(stage: Stage): Promise<readonly string[]> {
  const { platform, books, channels } = stage;
  const templates = await books.query<Template>(candidates, [templateCount]);
  const secrets = new Map(channels.map(({ id, secret }) => [id, secret]));
  await Promise.all(
    templates.map(async ({ channelId, attemptKey }) => {
      const nowMs = Date.now();
      const body = JSON.stringify({
        callbackId: `delivered-${attemptKey}`,
        attemptKey,
        kind: "delivered",
        at: new Date(nowMs).toISOString(),
      });
      const headers = { ...createSigner(secrets.get(channelId)!).sign(`msg_${attemptKey}`, nowMs, body) };
      await must("POST", `${platform.url}/v1/channels/${channelId}/callbacks`, { text: body, headers });
    }),
  );
  await settle(books);
  return deliveredOf(books, templates);
}

async function deliveredOf(books: Books, templates: readonly Template[]): Promise<readonly string[]> {
  const rows = await books.query<{ id: string }>(
    "select id from orders where id = any ($1) and status = 'delivered'",
    [templates.map(({ id }) => id)],
  );
  if (rows.length < templates.length || rows.length === 0)
    throw new Error(`Of ${templates.length} orders that were reported as delivered, ${rows.length} are.`);
  return rows.map(({ id }) => id);
}
