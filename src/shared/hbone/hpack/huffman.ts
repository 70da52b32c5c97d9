/**
 * The Huffman code of HPACK (RFC 7541 appendix B). The code is canonical, so the lengths alone define it: codes of one
 * length are consecutive in symbol order, and shorter codes come first. The decoder walks four bits a step through a
 * table made once from the lengths. We decode only: what we send is short and repeats, so the dynamic table does more.
 */
import { ConnectionError, errorCode } from "../http2/errors.ts";

/** Code length of symbol 0 to 255 and, last, of EOS (256). */
export const codeLengths: Uint8Array = Uint8Array.from(
  (
    "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 " +
    "6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 " +
    "13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 " +
    "15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 " +
    "20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 " +
    "22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 " +
    "26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 " +
    "20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30"
  )
    .split(" ")
    .map(Number),
);

const eos = 256;
const emits = 0x100;
/** Where the input may end: nothing but a prefix of EOS shorter than 8 bits lies behind the last symbol. */
const accepts = 0x200;
const fails = 0x400;

/** For state * 16 + nibble: the symbol (bits 0-7), emits, accepts, fails, and the next state (bits 16 up). */
const steps = buildSteps();

/** Binary tree as pairs of children: below zero a symbol (-1 - symbol), else the index of a node. */
function buildTree(): number[][] {
  const nodes: number[][] = [[]];
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (const [symbol, symbolLength] of codeLengths.entries()) {
      if (symbolLength !== length) continue;
      insert(nodes, code, length, symbol);
      code++;
    }
    code *= 2;
  }
  return nodes;
}

function insert(nodes: number[][], code: number, length: number, symbol: number): void {
  let node = nodes[0] ?? [];
  for (let bit = length - 1; bit > 0; bit--) {
    const side = (code >>> bit) & 1;
    let next = node[side];
    if (next === undefined) {
      next = nodes.push([]) - 1;
      node[side] = next;
    }
    node = nodes[next] ?? [];
  }
  node[code & 1] = -1 - symbol;
}

function buildSteps(): Uint32Array {
  const nodes = buildTree();
  const accepting = acceptingNodes(nodes);
  const table = new Uint32Array(nodes.length * 16);
  for (let state = 0; state < nodes.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      table[state * 16 + nibble] = step(nodes, accepting, state, nibble);
    }
  }
  return table;
}

/** Nodes on the path of all ones, up to seven bits from the root (RFC 7541 section 5.2). */
function acceptingNodes(nodes: number[][]): ReadonlySet<number> {
  const found = new Set<number>();
  let node = 0;
  for (let depth = 0; depth <= 7; depth++) {
    found.add(node);
    node = nodes[node]?.[1] ?? 0;
  }
  return found;
}

function step(
  nodes: number[][],
  accepting: ReadonlySet<number>,
  state: number,
  nibble: number,
): number {
  let node = state;
  let result = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = nodes[node]?.[(nibble >>> bit) & 1] ?? -1 - eos;
    if (next >= 0) {
      node = next;
    } else if (next === -1 - eos) {
      return fails;
    } else {
      result |= emits | (-1 - next);
      node = 0;
    }
  }
  return result | (accepting.has(node) ? accepts : 0) | (node << 16);
}

/** The shortest code has five bits, so n octets become at most n * 8 / 5 characters. */
let scratch = Buffer.allocUnsafe(1024);

/** Decodes [start, end); octets become characters of the same number (latin1). */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  const room = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < room) scratch = Buffer.allocUnsafe(room * 2);
  let state = 0;
  let flags = accepts;
  let length = 0;
  for (let at = start; at < end; at++) {
    const octet = bytes[at] ?? 0;
    for (let shift = 4; shift >= 0; shift -= 4) {
      flags = steps[state * 16 + ((octet >>> shift) & 0xf)] ?? fails;
      if ((flags & emits) !== 0) scratch[length++] = flags & 0xff;
      if ((flags & fails) !== 0)
        throw new ConnectionError(errorCode.compressionError, "Cannot decode Huffman text: EOS");
      state = flags >>> 16;
    }
  }
  if ((flags & accepts) === 0)
    throw new ConnectionError(
      errorCode.compressionError,
      "Cannot decode Huffman text: bad padding",
    );
  return scratch.toString("latin1", 0, length);
}
