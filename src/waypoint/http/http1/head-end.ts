/** Finds where a head ends, and refuses early what can never become one, so that nobody waits for more of it. */
import { headTooLarge, MessageProblem } from "./problem.ts";

/** Most heads are shorter; a longer slice would copy a body along with them. */
const firstLookBytes = 4096;

/** Not at the very start, where what stood before is not known. */
const badLineEnd = /(?<=[^\r])\n|\r(?!\n|$)/;
const badOctet = /[^\t\r\n\x20-\x7e\x80-\xff]/;

/**
 * The text of the head at `start` with its empty line, or undefined when more must come. The first `seen` octets were
 * looked at before. Throws MessageProblem.
 */
export function headText(
  bytes: Buffer,
  start: number,
  end: number,
  seen: number,
  maxBytes: number,
  begins: RegExp,
): string | undefined {
  const from = start + Math.max(0, seen - 3);
  let text = bytes.toString("latin1", from, Math.min(end, from + firstLookBytes));
  let close = text.indexOf("\r\n\r\n");
  if (close < 0 && end - from > firstLookBytes) {
    text = bytes.toString("latin1", from, Math.min(end, start + maxBytes + 4));
    close = text.indexOf("\r\n\r\n");
  }
  if (close >= 0) {
    const to = from + close + 4;
    if (to - start > maxBytes) throw headTooLarge();
    return from === start ? text.slice(0, close + 4) : bytes.toString("latin1", start, to);
  }
  if (seen < 64 && !begins.test(bytes.toString("latin1", start, Math.min(end, start + 64))))
    throw new MessageProblem("malformed first line");
  if (badLineEnd.test(text)) throw new MessageProblem("a line ends with a bare CR or LF");
  if (badOctet.test(text))
    throw new MessageProblem("a forbidden octet in the head", "http1.invalid_characters");
  if (end - start > maxBytes) throw headTooLarge();
  return undefined;
}
