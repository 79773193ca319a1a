import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readCursor, writeCursor } from "../../src/gateway/cursors.ts";
import { toUtc } from "../../src/gateway/submission.ts";
import { isHttpUrl, isInstant } from "../../src/gateway/validation.ts";
import { createIds } from "../../src/platform/ids.ts";

const dates = fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true });

test("every time that JavaScript writes is a time, and is the same in UTC", () => {
  fc.assert(
    fc.property(dates, (date) => {
      const text = date.toISOString();
      return isInstant(text) && toUtc(text) === text;
    }),
  );
});

test("a time with an offset or without a fraction means the same moment in UTC", () => {
  const offsets = fc.integer({ min: -14 * 60, max: 14 * 60 });
  const years = fc.date({ min: new Date("1971-01-02"), max: new Date("9998-01-01"), noInvalidDate: true });
  fc.assert(
    fc.property(years, offsets, fc.boolean(), (date, minutes, fraction) => {
      const ms = fraction ? date.getTime() : date.getTime() - date.getUTCMilliseconds();
      const hours = String(Math.floor(Math.abs(minutes) / 60)).padStart(2, "0");
      const rest = String(Math.abs(minutes) % 60).padStart(2, "0");
      const local = new Date(ms + minutes * 60_000).toISOString().slice(0, fraction ? 23 : 19);
      const text = minutes === 0 ? `${local}Z` : `${local}${minutes < 0 ? "-" : "+"}${hours}:${rest}`;
      return isInstant(text) && toUtc(text) === new Date(ms).toISOString();
    }),
  );
});

test("what is no time of RFC 3339, or of no day there is, is none", () => {
  for (const text of [
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-00-10T00:00:00Z",
    "2026-13-10T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00Z",
    "2026-01-01",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    "+012026-01-01T00:00:00Z",
  ]) {
    assert.equal(isInstant(text), false, text);
  }
  assert.ok(isInstant("2024-02-29T00:00:00Z"));
  assert.ok(isInstant("2000-02-29T00:00:00.123456789-00:00"));
});

test("endpoints are http or https, without a user", () => {
  for (const url of ["http://127.0.0.1:9", "https://a.example/x?y=1"]) assert.ok(isHttpUrl(url));
  for (const url of ["ftp://a", "http://", "http://u:p@a/", "javascript:1", "//a", ""])
    assert.equal(isHttpUrl(url), false, url);
});

test("a cursor is read back by its own list, and no text is one by accident", () => {
  const id = createIds().order(7, Date.now());
  const cursor = writeCursor(id, ["a", { status: "failed" }]);
  assert.equal(readCursor(cursor, "ord", ["a", { status: "failed" }]), id);
  assert.throws(() => readCursor(cursor, "ord", ["b", { status: "failed" }]), /nextCursor/);
  assert.throws(() => readCursor(cursor, "chn", ["a", { status: "failed" }]), /nextCursor/);
  fc.assert(
    fc.property(fc.string(), (text) => assert.throws(() => readCursor(text, "ord", []), /nextCursor/)),
  );
});
