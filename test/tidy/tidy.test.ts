import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isCallExpression,
  isExportAssignment,
  isFunctionLikeDeclaration,
  isIdentifier,
  isPropertyAccessExpression,
  type Node,
} from "typescript/unstable/ast";
import { isAllowed, mayImport, runtimeImports } from "./imports.ts";
import { lineOf, linesOf, type ParsedFile, parseProject, walk } from "./source.ts";

const maxFileLines = 400;
const maxFunctionLines = 70;

const files = parseProject();
const source = files.filter(({ path }) => path.startsWith("src/"));

function breaches(see: (node: Node) => boolean, where: typeof files, except: RegExp): readonly string[] {
  const found: string[] = [];
  for (const file of where.filter(({ path }) => !except.test(path))) {
    walk(file.tree, (node) => {
      if (see(node)) found.push(`${file.path}:${lineOf(file, node)}`);
    });
  }
  return found;
}

const isMember = (node: Node, object: string, member?: string): boolean =>
  isPropertyAccessExpression(node) &&
  isIdentifier(node.expression) &&
  node.expression.text === object &&
  (member === undefined || node.name.text === member);

test("every folder of src is in the table of imports", () => {
  const folders = new Set(
    source
      .map(({ path }) => path.split("/"))
      .filter((parts) => parts.length > 2)
      .map((parts) => parts[1]!),
  );
  assert.deepEqual(
    [...folders].filter((folder) => !(folder in mayImport)),
    [],
  );
});

test("imports run one way", () => {
  const imports = source.flatMap(runtimeImports);
  assert.ok(
    imports.length > source.length,
    `only ${imports.length} imports were seen in ${source.length} files`,
  );
  const wrong = imports.filter((each) => !isAllowed(each));
  assert.deepEqual(
    wrong.map(({ file, line, target }) => `${file}:${line} imports ${target}`),
    [],
  );
});

test("only the command line starts the simulator: the product does not know the world's side", () => {
  const wrong = source
    .filter(({ path }) => !/^src\/(channels\/simulator|cli)\//.test(path))
    .flatMap(runtimeImports)
    .filter(({ target }) => target.startsWith("channels/simulator/"));
  assert.deepEqual(wrong, []);
});

test(`no file is longer than ${maxFileLines} lines`, () => {
  const long = files.filter(({ text }) => text.trimEnd().split("\n").length > maxFileLines);
  assert.deepEqual(
    long.map(({ path }) => path),
    [],
  );
});

// A factory that returns methods is what a class is elsewhere: its functions count for themselves, not for it.
test(`no function is longer than ${maxFunctionLines} lines, the functions inside it counted for themselves`, () => {
  const long: string[] = [];
  for (const file of files) {
    walk(file.tree, (node) => {
      if (!isFunctionLikeDeclaration(node)) return;
      const lines = linesOf(file, node) - linesInside(file, node);
      if (lines > maxFunctionLines) long.push(`${file.path}:${lineOf(file, node)} has ${lines} lines`);
    });
  }
  assert.deepEqual(long, []);
});

/** Lines of the functions directly inside this one (those of one line aside). */
function linesInside(file: ParsedFile, node: Node): number {
  let lines = 0;
  node.forEachChild((child) => {
    lines += isFunctionLikeDeclaration(child) ? linesOf(file, child) - 1 : linesInside(file, child);
    return undefined;
  });
  return lines;
}

test("the environment is read in one file", () => {
  assert.deepEqual(
    breaches((node) => isMember(node, "process", "env"), source, /^src\/platform\/config\.ts$/),
    [],
  );
});

test("nothing is exported as default", () => {
  const isDefault = (node: Node) =>
    isExportAssignment(node) || /^export default /.test(node.getText().slice(0, 20));
  assert.deepEqual(breaches(isDefault, files, /^$/), []);
});

test("only the command line writes to the terminal; everything else logs", () => {
  const writes = (node: Node) =>
    isCallExpression(node) &&
    (isMember(node.expression, "console") ||
      /^process\.std(out|err)\.write$/.test(node.expression.getText()));
  assert.deepEqual(breaches(writes, source, /^src\/(cli\/|main\.ts$)/), []);
});

test("time and chance are passed in, not taken, where orders are decided", () => {
  const takes = (node: Node) =>
    isMember(node, "Date", "now") ||
    isMember(node, "Math", "random") ||
    isMember(node, "crypto", "randomUUID");
  const deciding = /^src\/(orchestration|optimization|capacity|relay|bus|read-model|webhooks)\//;
  assert.deepEqual(
    breaches(
      takes,
      source.filter(({ path }) => deciding.test(path)),
      /^$/,
    ),
    [],
  );
});
