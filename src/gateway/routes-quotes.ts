import type { QuoteRequest } from "../orchestration/api.ts";
import type { App, GatewayWorld } from "./app.ts";
import { answers, problemAnswers } from "./schemas.ts";
import { type QuoteBody, quote, quoteRequest } from "./schemas-quotes.ts";
import { checkCurrency, reversed, routingOf, toUtc } from "./submission.ts";

export function quoteRoutes(app: App, { orchestration, requires }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "quoteOrder",
    summary: "Can this be delivered there and then, by whom, at what cost and promise?",
    description: "From memory: nothing is written or held, so another order may take the room meanwhile.",
    body: quoteRequest.ref,
    ...answers(
      quote.ref,
      { 200: "The answer, deliverable or not" },
      problemAnswers({ key: true, body: true }, "currency_unknown", "window_reversed"),
    ),
  };
  app.post(
    "/v1/quotes",
    { schema, onRequest: requires("orders:read", "orders:write") },
    async (request, reply) => {
      const [answer] = orchestration.quotes([toRequest(request.body, request.principal.clientId)]);
      return reply.send(answer!);
    },
  );
}

function toRequest(body: QuoteBody, clientId: string): QuoteRequest {
  const wrong = checkCurrency(body.currency, "/currency");
  if (wrong) throw wrong;
  const {
    customerId = null,
    currency,
    items,
    delivery,
    priority = "standard",
    routing,
    metadata = {},
  } = body;
  const window = { start: toUtc(delivery.window.start), end: toUtc(delivery.window.end) };
  if (window.end <= window.start) throw reversed("/delivery/window/end");
  const { location, vehicle } = delivery;
  return {
    clientId,
    customerId,
    asked: {
      currency,
      items,
      delivery: { location, window, ...(vehicle === undefined ? {} : { vehicle }) },
      priority,
      metadata,
      ...routingOf(routing),
    },
  };
}
