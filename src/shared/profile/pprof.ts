/** Writes profiles in the format of pprof, so that `go tool pprof` and what understands the same file can read them. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  FunctionSchema,
  LineSchema,
  LocationSchema,
  MappingSchema,
  ProfileSchema,
  SampleSchema,
  type ValueType,
  ValueTypeSchema,
} from "../wire/gen/perftools/profiles/profile_pb.js";

/** A function somewhere on a stack. */
export interface Frame {
  readonly name: string;
  readonly file: string;
  /** Where the function begins, from 1; 0: unknown. */
  readonly line: number;
}

/** What is counted, and in what: `cpu` in `nanoseconds`. */
export interface Quantity {
  readonly type: string;
  readonly unit: string;
}

export interface StackProfile {
  /** The last one is what tools show unless told otherwise. */
  readonly sampleTypes: readonly Quantity[];
  readonly samples: readonly {
    /** Innermost function first. */
    readonly stack: readonly Frame[];
    /** One for each sample type, whole numbers. */
    readonly values: readonly number[];
  }[];
  /** How far apart samples were taken. */
  readonly period: Quantity & { readonly value: number };
  readonly startedAtMs: number;
  readonly durationMs: number;
}

const NANOS_PER_MS = 1_000_000;

/** Everything that was loaded counts as one binary whose functions are known: there is nothing to look up elsewhere. */
const mappingId = 1n;

class StringTable {
  readonly strings: string[] = [];
  readonly #indexes = new Map<string, bigint>();

  constructor() {
    this.of("");
  }

  of(text: string): bigint {
    let index = this.#indexes.get(text);
    if (index === undefined) {
      index = BigInt(this.strings.length);
      this.strings.push(text);
      this.#indexes.set(text, index);
    }
    return index;
  }
}

/** The message, not compressed. `program` is what the profile calls itself. */
export function encodePprof(profile: StackProfile, program: string): Uint8Array {
  const table = new StringTable();
  const quantity = ({ type, unit }: Quantity): ValueType =>
    create(ValueTypeSchema, { type: table.of(type), unit: table.of(unit) });
  const message = create(ProfileSchema, {
    sampleType: profile.sampleTypes.map(quantity),
    mapping: [
      create(MappingSchema, {
        id: mappingId,
        filename: table.of(program),
        hasFunctions: true,
        hasFilenames: true,
        hasLineNumbers: true,
      }),
    ],
    timeNanos: BigInt(Math.round(profile.startedAtMs)) * BigInt(NANOS_PER_MS),
    durationNanos: BigInt(Math.round(profile.durationMs * NANOS_PER_MS)),
    periodType: quantity(profile.period),
    period: BigInt(profile.period.value),
  });
  const ids = new Map<string, bigint>();
  /** Location and function have the same number: a frame tells no more than its function. */
  const idOf = (frame: Frame): bigint => {
    const key = `${frame.name}\u0000${frame.file}\u0000${frame.line}`;
    let id = ids.get(key);
    if (id === undefined) {
      id = BigInt(ids.size + 1);
      ids.set(key, id);
      const name = table.of(frame.name);
      const startLine = BigInt(frame.line);
      const line = create(LineSchema, { functionId: id, line: startLine });
      message.location.push(create(LocationSchema, { id, mappingId, line: [line] }));
      message.function.push(
        create(FunctionSchema, {
          id,
          name,
          systemName: name,
          filename: table.of(frame.file),
          startLine,
        }),
      );
    }
    return id;
  };
  message.sample = profile.samples.map(({ stack, values }) =>
    create(SampleSchema, { locationId: stack.map(idOf), value: values.map(BigInt) }),
  );
  message.stringTable = table.strings;
  return toBinary(ProfileSchema, message);
}
