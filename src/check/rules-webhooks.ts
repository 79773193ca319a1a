import { type WholeRule, wholeRule } from "./rule.ts";

/** I5, as far as the database shows it: what subscribers received, only they know. */
export const webhookRules: readonly WholeRule[] = [
  wholeRule(
    {
      invariant: "I5",
      name: "no webhook has passed an event that is not on the bus",
      of: "webhooks",
    },
    "select count(*) as count from webhook_progress",
    `select p.webhook_id as subject, format('it is at %s, the bus ends at %s', p.position, h.next_position - 1) as what
     from webhook_progress p cross join event_log_head h where p.position >= h.next_position`,
  ),
  wholeRule(
    {
      invariant: "I5",
      name: "an event that a webhook did not take is pending or a dead letter, not both",
      of: "pending events",
    },
    "select count(*) as count from webhook_pending",
    `select e.webhook_id as subject, format('%s is pending and a dead letter that was not replayed', e.event_id) as what
     from webhook_pending e
     where not e.replay and exists (select from dead_letters d
       where d.subscriber = e.webhook_id and d.event_id = e.event_id and d.replayed_at is null)`,
  ),
];
