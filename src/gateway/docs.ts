import { type FastifyInstance, type FastifyReply, fastify } from "fastify";
import type { App } from "./app.ts";

// The page must work without the internet: everything is served from here, and the browser is told to load nothing else.
const policy = [
  "default-src 'self'",
  "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "connect-src 'self'",
].join("; ");

/** A browsable reference at /docs/, made from /openapi.json. */
export function docsRoutes(app: App): void {
  let pages: Promise<FastifyInstance> | undefined;
  const serve = async (url: string, reply: FastifyReply) => {
    pages ??= openPages();
    const page = await (await pages).inject({ method: "GET", url });
    return reply
      .code(page.statusCode)
      .headers({ "content-security-policy": policy, "content-type": String(page.headers["content-type"]) })
      .header("cache-control", "max-age=3600")
      .send(page.rawPayload);
  };
  const schema = { hide: true };
  app.get("/docs", { schema }, async (_request, reply) => reply.redirect("/docs/", 301));
  app.get("/docs/", { schema }, async (_request, reply) => serve("/docs/", reply));
  app.get("/docs/js/scalar.js", { schema }, async (_request, reply) => serve("/docs/js/scalar.js", reply));
}

/** The package is 4 MB of script in a string and takes 0.3 s to load: at the first visit, not at every start. */
async function openPages(): Promise<FastifyInstance> {
  const { default: reference } = await import("@scalar/fastify-api-reference");
  const pages = fastify();
  await pages.register(reference, {
    routePrefix: "/docs",
    configuration: {
      url: "/openapi.json",
      pageTitle: "UOOP API",
      withDefaultFonts: false,
      telemetry: false,
      hideClientButton: true,
      showDeveloperTools: "never",
      agent: { disabled: true },
      mcp: { disabled: true },
    },
  });
  await pages.ready();
  return pages;
}
