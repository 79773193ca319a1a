import { parseArgs } from "node:util";
import { openVirtualDatabase } from "./database.ts";
import { startMs } from "./scene.ts";
import { runSeed } from "./world.ts";

const usage = `Runs the platform in virtual time, one world a seed (docs/reliability.md).

npm run simulate -- [--seeds N] [--seed S] [--minutes M]

  --seeds N     worlds to run (100)
  --seed S      the first one's seed; the others follow (random)
  --minutes M   stop after this long
  --history     print what happened in each world, not only in those that broke an invariant

Exit code: 0 all invariants held, 1 they did not, 2 wrong usage.`;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string", default: "100" },
        seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
        minutes: { type: "string", default: "1000000" },
        history: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const [seeds, seed, minutes] = [values.seeds, values.seed, values.minutes].map(Number) as [
      number,
      number,
      number,
    ];
    if (values.help) return null;
    if (!(seeds >= 1) || !(seed >= 0) || !(minutes > 0))
      throw new Error("--seeds, --seed and --minutes are numbers");
    return { seeds, seed, minutes, history: values.history };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = readOptions();
if (options === null) {
  console.log(usage);
  process.exit(0);
}
const database = await openVirtualDatabase(startMs);
const startedMs = Date.now();
let broken = 0;
let run = 0;
let orders = 0;
let statements = 0;
for (let seed = options.seed; run < options.seeds; seed += 1) {
  if (Date.now() - startedMs > options.minutes * 60_000) break;
  const result = await runSeed(seed, database);
  run += 1;
  orders += result.orders;
  statements += result.statements;
  if (options.history || result.violations.length > 0) for (const line of result.history) console.log(line);
  if (result.violations.length === 0) continue;
  broken += 1;
  console.log(
    `\nseed ${seed} broke ${result.violations.length} invariants (replay: npm run simulate -- --seeds 1 --seed ${seed}):`,
  );
  for (const violation of result.violations) console.log(`  ${violation}`);
  break;
}
const seconds = (Date.now() - startedMs) / 1_000;
console.log(
  `${run} worlds from seed ${options.seed}: ${orders} orders, ${statements} statements, ${broken === 0 ? "all invariants held" : "INVARIANTS BROKEN"} (${seconds.toFixed(1)} s)`,
);
await database.close();
process.exit(broken === 0 ? 0 : 1);
