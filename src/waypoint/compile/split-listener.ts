/**
 * Takes the filter chains out of an encoded Listener without decoding them. What is left decodes in no time, and a chain
 * whose octets are known need not be decoded at all.
 */
import { FieldWalker } from "./wire.ts";

export interface SplitListener {
  readonly chains: readonly EncodedChain[];
  /** The same message without them. */
  readonly rest: Uint8Array;
}

export interface EncodedChain {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Numbers of fields. */
const LISTENER_NAME = 1;
const FILTER_CHAINS = 3;
const CHAIN_NAME = 7;

/** Throws MalformedMessage. */
export function splitListener(bytes: Uint8Array): SplitListener {
  const fields = new FieldWalker(bytes);
  const chains: EncodedChain[] = [];
  const rest: Uint8Array[] = [];
  while (fields.next()) {
    const { value } = fields;
    if (fields.number === FILTER_CHAINS && value !== undefined)
      chains.push({ name: textOf(value, CHAIN_NAME), bytes: value });
    else rest.push(fields.whole);
  }
  return { chains, rest: Buffer.concat(rest) };
}

/** Of an encoded Listener. Throws MalformedMessage. */
export function listenerName(bytes: Uint8Array): string {
  return textOf(bytes, LISTENER_NAME);
}

/** The last one counts, as protobuf says. */
function textOf(message: Uint8Array, field: number): string {
  const fields = new FieldWalker(message);
  let text = "";
  while (fields.next())
    if (fields.number === field && fields.value !== undefined)
      text = Buffer.from(fields.value).toString("utf8");
  return text;
}
