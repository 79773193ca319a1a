import swagger from "@fastify/swagger";
import type { FastifySchema } from "fastify";
import about from "../../package.json" with { type: "json" };
import type { App } from "./app.ts";

const description = `Orders go in, food comes out: UOOP routes each order to the fulfillment channel that serves it best, books it and follows it
to the door. The file docs/api.md is the guide; this is the reference.

Requests carry \`Authorization: Bearer <API key>\`. Errors are \`application/problem+json\` (RFC 9457) with a \`code\`. Times are RFC 3339,
money is integer minor units with its ISO 4217 currency, lists have cursors.`;

/** Must be registered before the routes: it collects their schemas. */
export async function collectOpenApi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "UOOP", version: about.version, description },
      components: {
        securitySchemes: { apiKey: { type: "http", scheme: "bearer", description: "an API key, uoop_…" } },
      },
      security: [{ apiKey: [] }],
      tags: [
        { name: "orders", description: "Place orders, read them, cancel them" },
        { name: "streams", description: "Follow what happens, as it happens" },
        { name: "channels", description: "Who fulfils orders, where, when and how many" },
        { name: "webhooks", description: "Have events sent to you; what could not be sent" },
        { name: "operations", description: "For those who run it" },
      ],
    },
    transform: ({ schema, url }) => ({ schema: withAnswers(schema), url }),
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) => String(schema.$id ?? `schema-${index}`),
    },
  });
}

/** What fastify compiles is not what is documented: see `answers` in schemas.ts. */
function withAnswers(schema: FastifySchema): FastifySchema {
  const { answers, ...rest } = schema as FastifySchema & { answers?: FastifySchema["response"] };
  return answers === undefined ? rest : { ...rest, response: answers };
}

/** /openapi.json; written out once, at the first request. */
export function openApiRoute(app: App): void {
  let text: string | undefined;
  app.get("/openapi.json", { schema: { hide: true } }, async (_request, reply) => {
    text ??= JSON.stringify(app.swagger(), null, 1);
    return reply.header("content-type", "application/json; charset=utf-8").send(text);
  });
}
