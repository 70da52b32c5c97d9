/**
 * Cuts a closed socket off from everything that served it.
 *
 * V8 puts a function that is written as `object.property = () => ...` into the old generation at once. Node makes one such
 * function for every stream (`onwrite` in lib/internal/streams/writable.js), and it refers to the stream. So a closed socket
 * survives every collection of the young generation, with all it refers to, until the next full one. What is cut off dies
 * young; of the connection only the bare socket is left to the full collection.
 */
import type { Socket } from "node:net";
import { stopReading } from "./user-buffer.ts";

/** Call when 'close' is being emitted: whoever listens for it is still told. */
export function detachSocket(socket: Socket): void {
  socket.removeAllListeners();
  // One that came now would otherwise end the process.
  socket.on("error", ignoreError);
  stopReading(socket);
}

function ignoreError(): void {
  // The socket has closed: its end was told.
}
