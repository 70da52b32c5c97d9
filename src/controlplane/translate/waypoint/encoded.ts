/** Finished bytes of one resource. The reference stays the same while its content does. */
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";

export interface Encoded {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export function encoded<D extends DescMessage>(
  name: string,
  schema: D,
  message: MessageShape<D>,
): Encoded {
  return { name, bytes: toBinary(schema, message) };
}
