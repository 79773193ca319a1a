import { type Static, type TProperties, type TSchema, Type } from "typebox";
import { type FieldError, type Problem, type ProblemCode, problems } from "../platform/errors.ts";
import { type EventType, eventTypes, type PlatformEvent } from "../relay/api.ts";

// The words that all requests and answers are made of. These schemas validate, serialise and document: OpenAPI is
// made from them, so there is no second description that could differ.

/** Unknown fields are refused: a misspelt one must not be dropped in silence. */
export const strict = <P extends TProperties>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options });

/** One of these words. */
export const oneOf = <T extends string>(values: readonly T[], options: object = {}) =>
  Type.Unsafe<T>({ type: "string", enum: [...values], ...options });

// Control characters and lone surrogates are in no name that a person reads; PostgreSQL refuses some of them.
export const printable = "^[^\\p{Cc}\\p{Cs}]*$";
export const printableLines = "^(?:[^\\p{Cc}\\p{Cs}]|[\\t\\n\\r])*$";

/** A line of text. */
export const line = (maxLength: number, options: { minLength?: number; description?: string } = {}) =>
  Type.String({ minLength: 1, maxLength, pattern: printable, ...options });

export const instant = (description: string) => Type.String({ format: "date-time", description });

export const currency = Type.String({
  pattern: "^[A-Z]{3}$",
  description: "ISO 4217 code; amounts are in its minor units",
});

export const minor = (description: string, maximum = 1_000_000_000) =>
  Type.Integer({ minimum: 0, maximum, description: `${description}, in minor units of the currency` });

export const location = strict({
  lat: Type.Number({ minimum: -90, maximum: 90 }),
  lng: Type.Number({ minimum: -180, maximum: 180 }),
});

export const timeWindow = strict({
  start: instant("RFC 3339"),
  end: instant("RFC 3339, after start"),
});

/** A schema with a name: in OpenAPI it is one of the components, elsewhere a reference to it. */
export interface Component<T> {
  schema: TSchema & { $id: string };
  ref: ReturnType<typeof Type.Unsafe<T>>;
}

export function component<T>($id: string, schema: TSchema): Component<T> {
  return { schema: { ...schema, $id }, ref: Type.Unsafe<T>({ $ref: `${$id}#` }) };
}

/** The same reference, for what may also be null. */
export const nullableText = (description: string) =>
  Type.Unsafe<string | null>({ type: ["string", "null"], description });

export const listOf = <T>(items: ReturnType<typeof Type.Unsafe<T>>) =>
  Type.Object({
    items: Type.Unsafe<readonly T[]>({ type: "array", items }),
    nextCursor: nullableText("pass it as `cursor` for the next page; null at the end"),
  });

const problemFields = {
  type: Type.String({ description: "identifies the kind of problem" }),
  title: Type.String(),
  status: Type.Integer(),
  code: oneOf(Object.keys(problems) as ProblemCode[], { description: "see docs/errors.md" }),
  detail: Type.String({ description: "for the person who reads it" }),
  retryable: Type.Boolean({ description: "whether the same request may succeed later" }),
  errors: Type.Optional(
    Type.Unsafe<readonly FieldError[]>({
      type: "array",
      description:
        "each wrong field: a JSON pointer (into the body; /query/… and /headers/… beside it) and what to do",
      items: Type.Object({ pointer: Type.String(), message: Type.String() }),
    }),
  ),
};

export const problem = component<Problem>("Problem", Type.Object(problemFields, { description: "RFC 9457" }));

/** A problem that carries the order as it is. */
export const problemWithOrder = component<Problem>(
  "ProblemWithOrder",
  Type.Object(
    { ...problemFields, order: Type.Optional(Type.Unsafe<unknown>({ $ref: "Order#" })) },
    { description: "RFC 9457" },
  ),
);

/** What every operation may answer, whatever it does. */
const always: readonly ProblemCode[] = ["bad_request", "internal", "overloaded", "unavailable"];
const withKey: readonly ProblemCode[] = ["unauthorized", "forbidden", "rate_limited"];
const withBody: readonly ProblemCode[] = ["validation_failed", "payload_too_large", "media_type_unsupported"];

/** Documents the problems that an operation may answer, by status. They are written out by problems.ts, not by schema. */
export function problemAnswers(
  options: { key: boolean; body: boolean; order?: boolean },
  ...codes: readonly ProblemCode[]
): Record<number, TSchema> {
  const all = new Set([
    ...(options.key ? withKey : []),
    ...(options.body ? withBody : []),
    ...codes,
    ...always,
  ]);
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of all) {
    const status = problems[code].status;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const answers: Record<number, TSchema> = {};
  for (const [status, theirs] of [...byStatus].sort(([a], [b]) => a - b)) {
    const schema = options.order && status === 409 ? problemWithOrder.ref : problem.ref;
    answers[status] = Type.Unsafe({
      description: theirs.map((code) => `\`${code}\`: ${problems[code].title}.`).join(" "),
      content: { "application/problem+json": { schema } },
    });
  }
  return answers;
}

/**
 * An operation's answers. `response` is what fastify compiles: one serializer, whatever the status; `answers` is what
 * OpenAPI shows (compiling a serializer for each documented problem took most of the start).
 */
export function answers<S extends TSchema>(
  good: S,
  when: Record<number, string>,
  others: Record<number, TSchema>,
) {
  const described = Object.entries(when).map(([status, description]) => [status, { ...good, description }]);
  return {
    response: { "2xx": good },
    answers: { ...Object.fromEntries(described), ...others } as Record<number, TSchema>,
  };
}

export const event = component<PlatformEvent>(
  "Event",
  Type.Object(
    {
      specversion: Type.Unsafe<"1.0">({ type: "string", enum: ["1.0"] }),
      id: Type.String({ description: "deterministic: the same event always has the same id" }),
      source: Type.String(),
      type: oneOf<EventType>(eventTypes),
      subject: Type.String({ description: "the order's or the channel's id" }),
      time: instant("when it happened"),
      datacontenttype: Type.String(),
      dataschema: Type.String(),
      subjectversion: Type.Integer({ description: "the subject's version that this event tells of" }),
      partitionkey: Type.String(),
      replay: Type.Optional(
        Type.Unsafe<true>({
          type: "boolean",
          enum: [true],
          description: "it was a dead letter and is sent again",
        }),
      ),
      data: Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", additionalProperties: true }),
    },
    { description: "CloudEvents 1.0; docs/events.md tells what is in `data`" },
  ),
);

export const idParams = Type.Object({ id: Type.String() });
export type IdParams = Static<typeof idParams>;

export const ifMatchHeaders = Type.Object({
  "if-match": Type.Optional(
    Type.String({ maxLength: 64, description: "the ETag that the change was made from" }),
  ),
});

export const cursorQuery = {
  cursor: Type.Optional(Type.String({ maxLength: 512, description: "`nextCursor` of the page before" })),
  limit: Type.Integer({ minimum: 1, maximum: 500, default: 50, description: "items on a page at most" }),
};
