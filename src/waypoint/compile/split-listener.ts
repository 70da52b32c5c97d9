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

/** Numbers of fields: Listener.filter_chains, FilterChain.name. */
const FILTER_CHAINS = 3;
const NAME = 7;

/** Throws MalformedMessage. */
export function splitListener(bytes: Uint8Array): SplitListener {
  const fields = new FieldWalker(bytes);
  const chains: EncodedChain[] = [];
  const rest: Uint8Array[] = [];
  while (fields.next()) {
    const { value } = fields;
    if (fields.number === FILTER_CHAINS && value !== undefined)
      chains.push({ name: nameOf(value), bytes: value });
    else rest.push(fields.whole);
  }
  return { chains, rest: Buffer.concat(rest) };
}

function nameOf(chain: Uint8Array): string {
  const fields = new FieldWalker(chain);
  let name = "";
  while (fields.next())
    if (fields.number === NAME && fields.value !== undefined)
      name = Buffer.from(fields.value).toString("utf8");
  return name;
}
