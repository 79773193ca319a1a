import { digest } from "../platform/ids.ts";
import type { Submission } from "./api.ts";

/** What a client's key is stored as: one column, one index, whoever the client and whichever the namespace. */
export const keyDigest = ({
  clientId,
  keyNamespace,
  idempotencyKey,
}: Pick<Submission, "clientId" | "keyNamespace" | "idempotencyKey">): string =>
  digest(`${clientId}\n${keyNamespace}\n${idempotencyKey}`);
