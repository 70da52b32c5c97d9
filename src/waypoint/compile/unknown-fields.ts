/** Fields newer than the schema, read by their number. */
import type { Message } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** The last one of this number, as protobuf says; undefined: not set, or of another kind. */
function unknownField(
  message: Message,
  number: number,
  wireType: WireType,
): BinaryReader | undefined {
  const found = message.$unknown?.findLast(
    (field) => field.no === number && field.wireType === wireType,
  );
  return found && new BinaryReader(found.data);
}

export function unknownBool(message: Message, number: number): boolean {
  return unknownField(message, number, WireType.Varint)?.bool() ?? false;
}

export function unknownInt(message: Message, number: number): number {
  return unknownField(message, number, WireType.Varint)?.int32() ?? 0;
}

export function unknownText(message: Message, number: number): string | undefined {
  return unknownField(message, number, WireType.LengthDelimited)?.string();
}

export function unknownBytes(message: Message, number: number): Uint8Array | undefined {
  return unknownField(message, number, WireType.LengthDelimited)?.bytes();
}
