/** Random ids as hexadecimal text. */
import { randomFillSync, randomUUID } from "node:crypto";

/** Asking the system for few octets costs as much as for many. */
const pool = Buffer.alloc(4096);
let used = pool.length;

export function randomId(bytes: 8 | 16): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString("hex", used, used + bytes);
  used += bytes;
  return id;
}

/** A new `x-request-id`. */
export function randomRequestId(): string {
  return randomUUID();
}
