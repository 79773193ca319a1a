import { join } from "node:path";
import { consumers } from "./all.ts";
import { openStore } from "./consumer.ts";
import { follow } from "./follow.ts";

/** `node examples/consumers/main.ts <url> <folder> [name…]` with the key in UOOP_API_KEY: stores are `<folder>/<name>.db`. */
const [url, folder, ...names] = process.argv.slice(2);
const apiKey = process.env.UOOP_API_KEY;
const chosen = consumers.filter(({ name }) => names.length === 0 || names.includes(name));
if (!url || !folder || !apiKey || chosen.length === 0) {
  console.error("UOOP_API_KEY=… node examples/consumers/main.ts <url> <folder> [name…]");
  process.exit(2);
}
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
if (process.send) process.once("disconnect", () => stop.abort()); // who started us is gone
await Promise.all(
  chosen.map(async (consumer) => {
    const store = openStore(consumer, join(folder, `${consumer.name}.db`));
    await follow(consumer, store, { url, apiKey }, stop.signal);
    store.close();
  }),
);
if (process.connected) process.disconnect();
