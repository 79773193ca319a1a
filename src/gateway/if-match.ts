import { UoopError } from "../platform/errors.ts";

/** The version in an ETag; null: whatever it is. A tag that is none of ours can't match. */
export function readIfMatch(header: string | undefined): number | null {
  if (header === undefined || header.trim() === "*") return null;
  const match = /^\s*(?:W\/)?"(\d{1,9})"\s*$/.exec(header);
  if (!match)
    throw new UoopError(
      "version_conflict",
      `If-Match must be an ETag as it was given, such as "3"; it is ${header}.`,
    );
  return Number(match[1]);
}
