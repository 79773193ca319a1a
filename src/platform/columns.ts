/**
 * Arrays in PostgreSQL's binary format (array_recv), so that a batch travels as columns: no quoting here, no parsing
 * there. Against one JSON text and json_to_recordset this took the intake statement from 62 to 20 µs an order for reading
 * its input (500 orders, 2 cores, PostgreSQL 18). pg sends a Buffer parameter as binary; name the type in the statement
 * (`$1::text[]`).
 */
const oid = { bool: 16, int4: 23, text: 25, timestamptz: 1_184, uuid: 2_950 } as const;

const headerBytes = 20;
/** PostgreSQL counts microseconds from 2000-01-01. */
const epochMs = Date.UTC(2_000, 0, 1);

type Nullable<T> = T | null | undefined;

/** Null and undefined are NULL. */
export function textColumn(values: readonly Nullable<string>[]): Buffer {
  let bytes = headerBytes + 4 * values.length;
  for (const value of values) if (value != null) bytes += Buffer.byteLength(value);
  const buffer = header(oid.text, values.length, bytes);
  let at = headerBytes;
  for (const value of values) {
    if (value == null) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    const written = buffer.write(value, at + 4);
    buffer.writeInt32BE(written, at);
    at += 4 + written;
  }
  return buffer;
}

/** Values of one width, each written by `write`. */
function fixed<T>(
  type: number,
  width: number,
  values: readonly Nullable<T>[],
  write: (buffer: Buffer, value: T, at: number) => void,
): Buffer {
  const buffer = header(type, values.length, headerBytes + (4 + width) * values.length);
  let at = headerBytes;
  for (const value of values) {
    if (value == null) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    at = buffer.writeInt32BE(width, at);
    write(buffer, value, at);
    at += width;
  }
  return buffer.subarray(0, at);
}

function header(type: number, count: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  buffer.writeInt32BE(1, 0); // dimensions
  buffer.writeInt32BE(1, 4); // may hold NULL
  buffer.writeInt32BE(type, 8);
  buffer.writeInt32BE(count, 12);
  buffer.writeInt32BE(1, 16); // the first index
  return buffer;
}

/** Each value as JSON text; null and undefined are NULL, not JSON's null. An object that neighbours share is turned into text once. */
export function jsonColumn(values: readonly unknown[]): Buffer {
  let before: unknown;
  let text: string | null = null;
  return textColumn(
    values.map((value) => {
      if (value !== before) {
        before = value;
        text = value == null ? null : JSON.stringify(value);
      }
      return text;
    }),
  );
}

export const intColumn = (values: readonly Nullable<number>[]): Buffer =>
  fixed(oid.int4, 4, values, (buffer, value, at) => buffer.writeInt32BE(value, at));

export const boolColumn = (values: readonly Nullable<boolean>[]): Buffer =>
  fixed(oid.bool, 1, values, (buffer, value, at) => buffer.writeUInt8(value ? 1 : 0, at));

/** Milliseconds since the Unix epoch as timestamptz. */
export const timeColumn = (values: readonly Nullable<number>[]): Buffer =>
  fixed(oid.timestamptz, 8, values, (buffer, value, at) =>
    buffer.writeBigInt64BE(BigInt(Math.round((value - epochMs) * 1_000)), at),
  );

/** 32 hex digits as uuid. */
export const uuidColumn = (values: readonly Nullable<string>[]): Buffer =>
  fixed(oid.uuid, 16, values, (buffer, value, at) => buffer.write(value, at, "hex"));
