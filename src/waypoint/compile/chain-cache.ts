/** Compiled chains and the octets they came from: a listener comes whole with each change, and most of its chains are the same. */
import type { Chain } from "../model/chain.ts";

export interface CompiledChain {
  readonly chain: Chain;
  /** What was read past when it was compiled. */
  readonly decorations: readonly string[];
}

interface Entry extends CompiledChain {
  readonly bytes: Uint8Array;
}

/** What one accepted listener was made of; handed to the compilation of the next one. Immutable once built. */
export class ChainCache {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** The chain that these very octets gave. */
  find(name: string, bytes: Uint8Array): CompiledChain | undefined {
    const entry = this.#entries.get(name);
    return entry !== undefined && Buffer.compare(entry.bytes, bytes) === 0 ? entry : undefined;
  }

  /** Keeps a view of `bytes`, not a copy: the accepted resource is held by its owner anyway. */
  add(name: string, bytes: Uint8Array, { chain, decorations }: CompiledChain): void {
    this.#entries.set(name, { chain, decorations, bytes });
  }
}
