import { dirname, join, normalize } from "node:path";
import {
  isExportDeclaration,
  isImportDeclaration,
  isImportExpression,
  isStringLiteral,
  type Node,
} from "typescript/unstable/ast";
import { type ParsedFile, walk } from "./source.ts";

/**
 * What each folder of src may import at run time, besides itself and `platform`. An entry is a folder or one file of it. Types
 * may be imported from anywhere. Files directly in src (app, main, roles) put everything together.
 */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  platform: [],
  bus: ["relay/api.ts", "relay/snapshot.ts"],
  relay: ["bus"],
  webhooks: ["bus", "relay/append.ts"],
  "read-model": ["bus", "relay/snapshot.ts"],
  capacity: ["relay/append.ts"],
  performance: ["bus", "relay/snapshot.ts"],
  optimization: ["capacity"],
  channels: ["capacity/api.ts"],
  orchestration: ["capacity", "optimization", "channels", "relay/append.ts", "relay/snapshot.ts"],
  reconciliation: [],
  gateway: ["orchestration", "capacity", "read-model", "relay/api.ts"],
  check: ["orchestration", "bus", "relay", "channels/protocol.ts"],
  demo: ["examples/consumers", "check", "orchestration", "capacity", "channels", "cli"],
  certify: ["channels/protocol.ts", "channels/signature.ts", "channels/transport.ts"],
  cli: [
    "bench",
    "test/chaos",
    "certify",
    "check",
    "demo",
    "gateway",
    "capacity",
    "optimization",
    "channels",
    "app.ts",
    "roles.ts",
  ],
};

export interface RuntimeImport {
  file: string;
  line: number;
  /** Path from src, `capacity/api.ts`. */
  target: string;
}

/** Imports of our own files that are still there when the program runs (also `export from` and `import()`). */
export function runtimeImports(file: ParsedFile): readonly RuntimeImport[] {
  const found: RuntimeImport[] = [];
  const note = (specifier: Node | undefined) => {
    if (!specifier || !isStringLiteral(specifier) || !specifier.text.startsWith(".")) return;
    const line = file.tree.getLineAndCharacterOfPosition(specifier.getStart(file.tree)).line + 1;
    const target = normalize(join(dirname(file.path), specifier.text)).replace(/^src\//, "");
    found.push({ file: file.path, line, target });
  };
  walk(file.tree, (node) => {
    if (isImportDeclaration(node) && !isTypeOnly(node.importClause)) note(node.moduleSpecifier);
    else if (isExportDeclaration(node) && !node.isTypeOnly) note(node.moduleSpecifier);
    else if (isImportExpression(node.parent ?? node) && isStringLiteral(node)) note(node);
  });
  return found;
}

/** `import type …`, or an import of which every name says `type`. */
function isTypeOnly(clause: Node | undefined): boolean {
  if (!clause) return false;
  const { phaseModifier, name, namedBindings } = clause as Node & {
    phaseModifier?: number;
    name?: Node;
    namedBindings?: Node & { elements?: readonly (Node & { isTypeOnly: boolean })[] };
  };
  if (phaseModifier !== undefined) return true;
  if (name || !namedBindings?.elements) return false;
  return namedBindings.elements.length > 0 && namedBindings.elements.every((element) => element.isTypeOnly);
}

/** Whether this import goes the way that the table allows. */
export function isAllowed({ file, target }: RuntimeImport): boolean {
  if (target === "package.json") return true; // for the version
  const [from = "", ...rest] = file.replace(/^src\//, "").split("/");
  if (rest.length === 0) return true;
  const [to = ""] = target.split("/");
  if (to === from || to === "platform") return true;
  return (mayImport[from] ?? []).some((allowed) => target === allowed || target.startsWith(`${allowed}/`));
}
