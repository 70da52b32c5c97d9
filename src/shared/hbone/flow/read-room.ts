/**
 * The one buffer into which every application socket reads: large, warm in the cache, and with room in front for a frame
 * header. Sharing is safe because a read is handed on, copied or encrypted before its callback returns.
 */
import { frameHeaderBytes } from "../http2/frames.ts";
import { maxReadBytes, readLimitBytes } from "../session/pace.ts";

let room: Buffer | undefined;
/** Parts of the room by size, largest first. */
let views: readonly Buffer[] = [];

/** Where a read begins in the room. */
export const readStart = frameHeaderBytes;
/** Below this a read costs more than what it saves; what does not fit is held. */
const leastReadBytes = 16 * 1024;

export function readRoom(): Buffer {
  if (room === undefined) {
    room = Buffer.allocUnsafeSlow(readStart + maxReadBytes);
    views = viewsOf(room);
  }
  return room;
}

function viewsOf(whole: Buffer): readonly Buffer[] {
  const list: Buffer[] = [];
  for (let size = maxReadBytes; size >= leastReadBytes; size /= 2)
    list.push(whole.subarray(readStart, readStart + size));
  return list;
}

/** The part for the next read: as large as the present pace and the taker allow. */
export function nextReadView(takerRoomBytes: number): Buffer {
  const whole = readRoom();
  const limit = Math.min(readLimitBytes(), takerRoomBytes);
  for (const view of views) if (view.length <= limit) return view;
  return views.at(-1) ?? whole;
}
