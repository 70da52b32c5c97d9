/**
 * The one buffer into which every application socket reads: large, warm in the cache, and with room in front for a frame
 * header. Sharing is safe because a read is handed on, copied or encrypted before its callback returns.
 */
import { frameHeaderBytes } from "../http2/frames.ts";
import { maxReadBytes, readLimitBytes } from "../session/pace.ts";

let room: Buffer | undefined;
const views = new Map<number, Buffer>();

/** Where a read begins in the room. */
export const readStart = frameHeaderBytes;

export function readRoom(): Buffer {
  room ??= Buffer.allocUnsafeSlow(readStart + maxReadBytes);
  return room;
}

/** The part for the next read, as large as the present pace allows. */
export function nextReadView(): Buffer {
  const limit = readLimitBytes();
  let view = views.get(limit);
  if (view === undefined) {
    view = readRoom().subarray(readStart, readStart + limit);
    views.set(limit, view);
  }
  return view;
}
