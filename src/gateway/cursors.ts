import { UoopError } from "../platform/errors.ts";
import { digest, type IdPrefix, isId } from "../platform/ids.ts";

/**
 * A cursor is the last id of a page and a mark of the list that it belongs to: with other filters it would skip items
 * in silence, so it is refused there. Opaque to clients.
 */
export function writeCursor(lastId: string, filters: unknown): string {
  return Buffer.from(`${markOf(filters)}.${lastId}`).toString("base64url");
}

/** The id that the page starts after. Throws `cursor_invalid`. */
export function readCursor(cursor: string, prefix: IdPrefix, filters: unknown): string {
  const [mark, id, more] = Buffer.from(cursor, "base64url").toString("latin1").split(".");
  if (more !== undefined || id === undefined || !isId(prefix, id) || mark !== markOf(filters)) {
    throw new UoopError(
      "cursor_invalid",
      "Take the cursor from nextCursor of the same list with the same filters, or leave it out.",
    );
  }
  return id;
}

const markOf = (filters: unknown): string => digest(JSON.stringify(filters)).slice(0, 8);

/** The version in an ETag; null: whatever it is. A tag that is none of ours can't match. */
export function readIfMatch(header: string | undefined): number | null {
  if (header === undefined || header.trim() === "*") return null;
  const match = /^\s*(?:W\/)?"(\d{1,9})"\s*$/.exec(header);
  if (!match)
    throw new UoopError(
      "version_conflict",
      `If-Match must be the ETag that was read, such as "3"; it is ${header}.`,
    );
  return Number(match[1]);
}
