import { createApp } from "../app.ts";
import { readConfig } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";

/** Prints the OpenAPI document; needs no database. */
export async function openapi(): Promise<number> {
  const app = createApp(readConfig(), { log: createLog("silent") });
  try {
    console.log(JSON.stringify(await app.openApi(), null, 2));
  } finally {
    await app.stop();
  }
  return 0;
}
