/** Formats and expressions are written by users: whatever they write, parsing ends, and what is refused says so. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compileExpression } from "../../../src/waypoint/telemetry/cel/expression.ts";
import { CelSyntaxError } from "../../../src/waypoint/telemetry/cel/lexer.ts";
import { inertEnvironment } from "../../../src/waypoint/telemetry/environment.ts";
import { printFormat } from "../../../src/waypoint/telemetry/log/format.ts";
import { operatorNames } from "../../../src/waypoint/telemetry/log/operators.ts";
import {
  FormatError,
  type OperatorCall,
  parseFormat,
  splitFormat,
} from "../../../src/waypoint/telemetry/log/parse.ts";
import { defaultTime, timeFormatter } from "../../../src/waypoint/telemetry/log/strftime.ts";
import { withTraceReason } from "../../../src/waypoint/telemetry/tracing/request-id.ts";
import { streamRecord } from "../../support/stream-record.ts";

const environment = inertEnvironment();

const call = fc
  .record({
    name: fc.stringMatching(/^[A-Z0-9_]{1,12}$/),
    // A closing parenthesis before a percent sign would end it early.
    argument: fc.option(fc.stringMatching(/^[A-Za-z0-9 :?./-]{0,16}$/), { nil: undefined }),
    maxLength: fc.option(fc.nat(999), { nil: undefined }),
  })
  .map((one) => ({ ...one }));

function written({ name, argument, maxLength }: OperatorCall): string {
  const inside = argument === undefined ? "" : `(${argument})`;
  return `%${name}${inside}${maxLength === undefined ? "" : `:${maxLength}`}%`;
}

describe("format strings", () => {
  it("come apart into what they were written from", () => {
    const text = fc.string({ minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, call), { maxLength: 6 }), (pairs) => {
        const source = pairs
          .map(([before, operator]) => `${before.replaceAll("%", "%%")}${written(operator)}`)
          .join("");
        assert.deepEqual(splitFormat(source), pairs.flat());
      }),
      { numRuns: 500 },
    );
  });

  it("are understood or refused, never anything else", () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom(...operatorNames).map((name) => `%${name}%`),
      fc
        .tuple(fc.constantFrom(...operatorNames), fc.string({ maxLength: 12 }))
        .map(([name, argument]) => `%${name}(${argument})%`),
    );
    const record = streamRecord();
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
        try {
          const format = parseFormat(pieces.join(""), environment);
          assert.equal(typeof printFormat(format, record, "-"), "string");
        } catch (thrown) {
          assert.ok(thrown instanceof FormatError, String(thrown));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("every operator prints something for every kind of stream", () => {
    const tcp = streamRecord({ kind: "tcp", http: undefined, upstream: undefined });
    for (const name of operatorNames) {
      let format: ReturnType<typeof parseFormat> | undefined;
      for (const source of [
        `%${name}%`,
        `%${name}(x)%`,
        `%${name}(DYNAMIC:x)%`,
        `%${name}(DS_RX_BEG:US_RX_BEG)%`,
      ])
        try {
          format ??= parseFormat(source, environment);
        } catch (thrown) {
          assert.ok(thrown instanceof FormatError);
        }
      assert.ok(format !== undefined, name);
      for (const record of [tcp, streamRecord()])
        assert.equal(typeof printFormat(format, record, "-"), "string");
    }
  });
});

describe("times", () => {
  it("are those of the calendar", () => {
    const iso = timeFormatter("%Y-%m-%dT%H:%M:%S");
    const day = timeFormatter("%w");
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (wallMs) => {
        const date = new Date(wallMs);
        assert.equal(iso(wallMs), date.toISOString().slice(0, 19));
        assert.equal(defaultTime(wallMs), date.toISOString());
        assert.equal(day(wallMs), String(date.getUTCDay()));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("expressions", () => {
  it("are understood or refused, and give the same value or error each time", () => {
    const token = fc.constantFrom(
      ..."request . method headers [ ] ( ) 'a' \"b\" 1 2.5 true null && || ! == != < >= in ? : , + - * / % has size string x all { }".split(
        " ",
      ),
    );
    const record = streamRecord();
    fc.assert(
      fc.property(fc.array(token, { maxLength: 14 }), (tokens) => {
        try {
          const expression = compileExpression(tokens.join(" "));
          assert.deepEqual(expression.evaluate(record), expression.evaluate(record));
        } catch (thrown) {
          assert.ok(thrown instanceof CelSyntaxError, String(thrown));
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("calculate as integers of 64 bits do", () => {
    const operators = fc.constantFrom("+", "-", "*", "/", "%");
    const number = fc.bigInt({ min: -1000n, max: 1000n });
    fc.assert(
      fc.property(number, operators, number, (a, operator, b) => {
        const value = compileExpression(`(${a}) ${operator} (${b})`).evaluate(streamRecord());
        const calculate: Readonly<Record<string, () => bigint | undefined>> = {
          "+": () => a + b,
          "-": () => a - b,
          "*": () => a * b,
          "/": () => (b === 0n ? undefined : a / b),
          "%": () => (b === 0n ? undefined : a % b),
        };
        assert.equal(value, calculate[operator]?.());
      }),
      { numRuns: 500 },
    );
  });
});

describe("request ids", () => {
  it("keep all but one digit", () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.constantFrom("none", "sampled", "service-forced", "client-forced" as const),
        (id, reason) => {
          const marked = withTraceReason(id, reason as "none");
          assert.equal(marked.length, id.length);
          assert.equal(marked.slice(0, 14) + marked.slice(15), id.slice(0, 14) + id.slice(15));
        },
      ),
    );
  });
});
