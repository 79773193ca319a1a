/**
 * Every error that leaves the platform, in one table (docs/errors.md is checked against it). A refusal inside a saga
 * (a full slot, a partner's "no") is a value, not one of these.
 */
export const problems = {
  bad_request: { status: 400, retryable: false, title: "The request can't be read" },
  validation_failed: { status: 400, retryable: false, title: "Some fields are missing or wrong" },
  window_in_past: { status: 400, retryable: false, title: "The delivery window has passed" },
  window_reversed: { status: 400, retryable: false, title: "The window ends before it starts" },
  currency_unknown: { status: 400, retryable: false, title: "The currency is not an ISO 4217 code" },
  cursor_invalid: { status: 400, retryable: false, title: "The cursor is not one that this list gave" },
  webhook_target_refused: {
    status: 400,
    retryable: false,
    title: "Webhooks are not sent to this address",
  },
  unauthorized: { status: 401, retryable: false, title: "The API key is missing or not known" },
  signature_invalid: { status: 401, retryable: false, title: "The callback's signature does not verify" },
  forbidden: { status: 403, retryable: false, title: "The API key lacks the scope for this" },
  not_found: { status: 404, retryable: false, title: "There is no such thing here" },
  order_not_found: { status: 404, retryable: false, title: "There is no such order" },
  channel_not_found: { status: 404, retryable: false, title: "There is no such channel" },
  schedule_not_found: { status: 404, retryable: false, title: "The channel has no schedule" },
  policy_not_found: { status: 404, retryable: false, title: "There is no such routing policy" },
  webhook_not_found: { status: 404, retryable: false, title: "There is no such webhook" },
  dead_letter_not_found: { status: 404, retryable: false, title: "There is no such dead letter" },
  attempt_unknown: {
    status: 404,
    retryable: false,
    title: "The callback names an attempt that was never made",
  },
  method_not_allowed: { status: 405, retryable: false, title: "This address does not take this method" },
  order_unfulfillable: { status: 409, retryable: false, title: "The order could not be fulfilled" },
  transition_refused: { status: 409, retryable: false, title: "The order's state does not allow this" },
  order_busy: { status: 409, retryable: true, title: "The order is in motion; try again in a moment" },
  change_refused: {
    status: 409,
    retryable: false,
    title: "The order can't be changed so; it stays as it was",
  },
  no_other_channel: { status: 409, retryable: true, title: "No other channel could take the order now" },
  capacity_below_reserved: { status: 409, retryable: false, title: "The capacity is below what is reserved" },
  policy_conflict: { status: 409, retryable: false, title: "It conflicts with another routing policy" },
  stock_refused: { status: 409, retryable: false, title: "The stock can't be what was asked for" },
  slots_overlap: { status: 409, retryable: false, title: "The slots of a channel may not overlap" },
  webhook_limit_reached: { status: 409, retryable: false, title: "There are as many webhooks as may be" },
  version_conflict: { status: 412, retryable: true, title: "It was changed meanwhile; read it again" },
  payload_too_large: { status: 413, retryable: false, title: "The body is larger than is taken" },
  media_type_unsupported: { status: 415, retryable: false, title: "The body must be application/json" },
  idempotency_key_reused: { status: 422, retryable: false, title: "The key was used with another body" },
  rate_limited: { status: 429, retryable: true, title: "Too many requests" },
  internal: { status: 500, retryable: true, title: "Something broke on our side" },
  overloaded: { status: 503, retryable: true, title: "Too much is waiting; try again shortly" },
  unavailable: { status: 503, retryable: true, title: "A part that this needs is away; try again shortly" },
} as const;

export type ProblemCode = keyof typeof problems;

/** One wrong field: where (a JSON pointer into the request) and what to do. */
export interface FieldError {
  pointer: string;
  message: string;
}

/** An error with a code from the table; `detail` is the sentence for the person who reads it. */
export class UoopError extends Error {
  readonly code: ProblemCode;
  readonly fields: readonly FieldError[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { fields?: readonly FieldError[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    // A refusal says what is wrong, not where in the code; its stack cost 20 µs, more than all else of refusing a request.
    const framesWanted = Error.stackTraceLimit;
    if (code !== "internal") Error.stackTraceLimit = 0;
    super(detail, options.cause === undefined ? {} : { cause: options.cause });
    Error.stackTraceLimit = framesWanted;
    this.name = "UoopError";
    this.code = code;
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds ?? (problems[code].status === 503 ? 1 : undefined);
  }

  get status(): number {
    return problems[this.code].status;
  }
}

/** RFC 9457 body of an error. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ProblemCode;
  detail: string;
  retryable: boolean;
  errors?: readonly FieldError[];
}

export function toProblem(error: UoopError): Problem {
  const row = problems[error.code];
  return {
    type: `https://uoop.dev/problems/${error.code}`,
    title: row.title,
    status: row.status,
    code: error.code,
    detail: error.message,
    retryable: row.retryable,
    ...(error.fields.length > 0 ? { errors: error.fields } : {}),
  };
}
