/** The descriptor behind a socket of Node. */
import type { Socket } from "node:net";

/** Undefined when the socket has none (any more). Node keeps it at the socket's handle, which its types do not show. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } };
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}
