/** Tokens whose signature was found good, kept so that the next request with the same token costs a lookup. */
import type { Token } from "./token.ts";

const MAX_TOKENS = 1_000;
/** Longer tokens are verified each time, as the reference does: a few of them would fill the cache. */
const MAX_CACHED_CHARS = 4_096;

/** Least recently used first out. Only good tokens are kept: nobody can fill it without a key. */
export class VerifiedTokens {
  readonly #tokens = new Map<string, Token>();

  get(text: string): Token | undefined {
    const token = this.#tokens.get(text);
    if (token === undefined) return undefined;
    // Moving to the end only in a half-full cache: until then the order does not matter.
    if (this.#tokens.size > MAX_TOKENS / 2) {
      this.#tokens.delete(text);
      this.#tokens.set(text, token);
    }
    return token;
  }

  add(token: Token): void {
    if (token.text.length > MAX_CACHED_CHARS) return;
    if (this.#tokens.size >= MAX_TOKENS) {
      const oldest = this.#tokens.keys().next();
      if (oldest.done !== true) this.#tokens.delete(oldest.value);
    }
    this.#tokens.set(token.text, token);
  }
}
