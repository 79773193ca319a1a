/** The parts of the documentation that are made from the code: `npm run docs` writes them, a test compares. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { orderStates } from "../../src/orchestration/order-state.ts";
import { listSettings } from "../../src/platform/config.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { roleTable } from "../../src/roles.ts";
import { root } from "./source.ts";

interface GeneratedDoc {
  path: string;
  text: string;
}

/** What each generated file should say now. */
export async function generatedDocs(): Promise<readonly GeneratedDoc[]> {
  const path = "docs/operating.md";
  let text = readFileSync(join(root, path), "utf8");
  text = fill(text, "settings", settingsTable());
  text = fill(text, "roles", rolesTable());
  text = fill(text, "metrics", await metricsTable());
  return [
    { path: "docs/order-states.md", text: orderStatesDoc() },
    { path, text },
  ];
}

/** Replaces what stands between `<!-- name -->` and `<!-- /name -->`. */
function fill(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  if (from < 0 || to < from)
    throw new Error(`docs/operating.md has no place for ${name} (${open} … ${close})`);
  return `${text.slice(0, from + open.length)}\n${content}\n${text.slice(to)}`;
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

const settingsTable = (): string =>
  table(
    ["Variable", "Default", "What it is"],
    listSettings().map(({ name, fallback, description }) => [
      `\`${name}\``,
      fallback === "" ? "–" : `\`${fallback}\``,
      description,
    ]),
  );

const rolesTable = (): string =>
  table(
    ["Role", "What it does", "Services", "Needs in the same process"],
    Object.entries(roleTable).map(([role, { does, services, needs }]) => [
      `\`${role}\``,
      does,
      services.join(", ") || "–",
      needs.join(", ") || "–",
    ]),
  );

async function metricsTable(): Promise<string> {
  const metrics = (await createMetrics().registry.getMetricsAsJSON()).filter(({ name }) =>
    name.startsWith("uoop_"),
  );
  return table(
    ["Metric", "Type", "What it counts"],
    metrics.map(({ name, type, help }) => [`\`${name}\``, String(type), help]),
  );
}

function orderStatesDoc(): string {
  const rows = Object.entries(orderStates).map(([status, { means, to, due, whenDue }]) => [
    `\`${status}\``,
    means,
    to.map((next) => `\`${next}\``).join(", ") || "– (an end)",
    due ?? "–",
    whenDue ?? "–",
  ]);
  const arrows = Object.entries(orderStates).flatMap(([status, { to }]) =>
    to.map((next) => `  ${status} --> ${next}`),
  );
  return `# Order states

<!-- Generated from src/orchestration/order-state.ts by \`npm run docs\`; edit that. -->

Every status, where it may go from there, when it is due and what happens then. Anything that is not in this table is refused. A status
without a next one is an end; every other one has a deadline, so no order waits for ever.

${table(["Status", "Means", "May become", "Is due", "What happens then"], rows)}

\`\`\`mermaid
stateDiagram-v2
  [*] --> received
${arrows.join("\n")}
\`\`\`
`;
}

if (process.argv.includes("--write")) {
  for (const { path, text } of await generatedDocs()) writeFileSync(join(root, path), text);
}
