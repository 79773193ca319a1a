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

/** A browsable reference at /docs, made from /openapi.json. */
export async function docsRoutes(app: App): Promise<void> {
  // 4 MB of script as a string: loaded beside the start of everything else, not at the top of the program.
  const { default: reference } = await import("@scalar/fastify-api-reference");
  await app.register(async (scope) => {
    scope.addHook("onSend", async (_request, reply) => void reply.header("content-security-policy", policy));
    await scope.register(reference, {
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
  });
}
