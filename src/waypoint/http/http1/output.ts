/**
 * What codecs write, joined: a head, its body and the end leave in one write. The memory is one block for the process,
 * owned by one connection at a time and empty again when the present callback is done.
 */
import { frameHeaderBytes } from "../../../shared/hbone/http2/frames.ts";
import type { Transport } from "../transport.ts";

export interface OutputOwner {
  readonly transport: Transport;
  /** Octets written so far. */
  sentBytes: number;
  /** What was written has gone to the transport, which said whether it takes more. */
  flushed(writable: boolean): void;
}

/** Below the limit up to which a tunnel sends one frame. */
const roomBytes = 64 * 1024;
/** The transport may put a frame header in front. */
const start = frameHeaderBytes;
const limit = start + roomBytes;
const block = Buffer.allocUnsafeSlow(limit);

let owner: OutputOwner | undefined;
let end = start;
/** Codecs that are inside a read: the outermost flushes on its way out. */
let depth = 0;
let asked = false;

export function enterRead(): void {
  depth++;
}

export function leaveRead(): void {
  depth--;
  if (depth === 0) flush();
}

export function flush(): void {
  const flushing = owner;
  if (flushing === undefined) return;
  const to = end;
  owner = undefined;
  end = start;
  if (to > start) flushing.flushed(flushing.transport.write(block, start, to, true));
}

/** Sends what this connection has written, if the block is still its own. */
export function flushOf(candidate: OutputOwner): void {
  if (owner === candidate) flush();
}

/** `text` has only octets. */
export function writeText(by: OutputOwner, text: string): void {
  claim(by);
  by.sentBytes += text.length;
  if (end + text.length <= limit) {
    end += block.write(text, end, "latin1");
    return;
  }
  for (let at = 0; at < text.length; ) {
    if (end === limit) reclaim(by);
    const part = text.slice(at, at + limit - end);
    end += block.write(part, end, "latin1");
    at += part.length;
  }
}

export function writeBytes(by: OutputOwner, bytes: Buffer, from: number, to: number): void {
  claim(by);
  by.sentBytes += to - from;
  for (let at = from; at < to; ) {
    if (end === limit) reclaim(by);
    const copied = bytes.copy(block, end, at, Math.min(to, at + limit - end));
    end += copied;
    at += copied;
  }
}

function claim(by: OutputOwner): void {
  if (owner === by) return;
  flush();
  owner = by;
  if (depth > 0 || asked) return;
  asked = true;
  queueMicrotask(flushAsked);
}

function reclaim(by: OutputOwner): void {
  flush();
  owner = by;
}

function flushAsked(): void {
  asked = false;
  flush();
}
