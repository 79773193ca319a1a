import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Node, SourceFile } from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";

export const root = join(import.meta.dirname, "..", "..");

export interface ParsedFile {
  /** From the project's root: `src/capacity/api.ts`. */
  path: string;
  text: string;
  tree: SourceFile;
}

/**
 * Every TypeScript file of the project (tsconfig.json), parsed by the compiler itself. The compiler's API is called unstable by
 * its makers; the exact version in package.json keeps it stable for us.
 */
export function parseProject(): readonly ParsedFile[] {
  const api = new API({ cwd: root });
  try {
    const project = api.updateSnapshot({ openProjects: [join(root, "tsconfig.json")] }).getProjects()[0];
    if (!project) throw new Error("tsconfig.json was not read");
    return project.rootFiles.map((file) => {
      const tree = project.program.getSourceFile(file);
      if (!tree) throw new Error(`${file} was not parsed`);
      return { path: relative(root, file), text: readFileSync(file, "utf8"), tree };
    });
  } finally {
    api.close();
  }
}

/** Calls `see` for every node under this one. */
export function walk(node: Node, see: (node: Node) => void): void {
  node.forEachChild((child) => {
    see(child);
    walk(child, see);
    return undefined;
  });
}

/** Line on which a node begins, from 1. */
export const lineOf = (file: ParsedFile, node: Node): number =>
  file.tree.getLineAndCharacterOfPosition(node.getStart(file.tree)).line + 1;

/** Lines that a node takes. */
export const linesOf = (file: ParsedFile, node: Node): number =>
  file.tree.getLineAndCharacterOfPosition(node.end).line + 1 - lineOf(file, node) + 1;
