/**
 * Reads of a socket into memory of ours instead of a fresh ArrayBuffer for each read: for sockets that somebody else made
 * (accepted ones, TLS), which the documented `onread` option of `net.connect` does not reach. This is the one file that
 * touches undocumented parts of Node (lib/net.js kBuffer, kBufferCb, kBufferGen; StreamBase::UseUserBuffer; the same in
 * 20, 24 and 26). Where they are missing, or do nothing, 'data' events are copied into the same memory: slower, not wrong.
 */
import { Socket, type SocketConstructorOpts } from "node:net";

/** Who owns the memory. Both are called for each read, so neither may be slow. */
export interface BufferReader {
  /** Memory for the next read, never empty. It must stay untouched until the next call or until the socket has closed. */
  nextBuffer(): Buffer;
  /**
   * This many octets stand at the start of the last buffer. False asks for no more reads until `resumeReading`; what the
   * layer below has decrypted already may still come.
   */
  onRead(length: number): boolean;
}

interface PrivateParts {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generator: symbol;
}

type Indexed = Record<symbol, unknown>;

interface BufferHandle {
  useUserBuffer(buffer: Buffer): void;
}

let found: PrivateParts | undefined | "unknown" = "unknown";

/** Looks at a socket that has the option, to find the names under which it is stored. */
function findPrivateParts(): PrivateParts | undefined {
  const callback = (): boolean => true;
  // The types know `onread` only for connect(); the constructor takes it too.
  const options = { onread: { buffer: Buffer.alloc(1), callback } } as SocketConstructorOpts;
  const probe = new Socket(options);
  const symbols = Object.getOwnPropertySymbols(probe);
  const byName = (name: string): symbol | undefined =>
    symbols.find((symbol) => symbol.description === name);
  const [buffer, cb, generator] = [byName("kBuffer"), byName("kBufferCb"), byName("kBufferGen")];
  if (buffer === undefined || cb === undefined || generator === undefined) return undefined;
  const values = probe as unknown as Indexed;
  if (!(values[buffer] instanceof Uint8Array) || values[cb] !== callback) return undefined;
  return { buffer, callback: cb, generator };
}

/** Whether this Node has what the fast way needs. */
export function userBufferSupported(): boolean {
  if (found === "unknown") found = findPrivateParts();
  return found !== undefined;
}

/** For tests, and for an operator who distrusts the fast way: 'data' events from now on. */
export function disableUserBuffer(): void {
  found = undefined;
}

function hasUserBuffer(handle: unknown): handle is BufferHandle {
  return (
    typeof handle === "object" &&
    handle !== null &&
    "useUserBuffer" in handle &&
    typeof handle.useUserBuffer === "function"
  );
}

/** Starts reading. The socket must not have other readers; what it has buffered comes first. */
export function startReading(socket: Socket, reader: BufferReader): void {
  const copyIn = (chunk: Buffer): void => {
    let wanted = true;
    for (let at = 0; at < chunk.length; ) {
      const copied = chunk.copy(reader.nextBuffer(), 0, at);
      at += copied;
      wanted = reader.onRead(copied);
    }
    if (!wanted) socket.pause();
  };
  // Drains what TLS delivered before this call, or what somebody unshifted.
  while (socket.readableLength > 0) {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) break;
    copyIn(chunk);
  }
  installUserBuffer(socket, reader);
  // With the user buffer in place no 'data' event ever fires; if a Node ignores it, this is the fallback.
  socket.on("data", copyIn);
  socket.resume();
}

function installUserBuffer(socket: Socket, reader: BufferReader): void {
  if (!userBufferSupported() || found === undefined || found === "unknown") return;
  const handle: unknown = Reflect.get(socket, "_handle");
  if (!hasUserBuffer(handle)) return;
  const values = socket as unknown as Indexed;
  const buffer = reader.nextBuffer();
  // Node keeps the memory alive by this property alone: native code has a bare pointer.
  values[found.buffer] = buffer;
  // Passed rather than assigned: see detach-socket.ts.
  put(values, found.callback, (length: number): boolean => reader.onRead(length));
  put(values, found.generator, (): Buffer => reader.nextBuffer());
  handle.useUserBuffer(buffer);
}

function put(values: Indexed, name: symbol, value: unknown): void {
  values[name] = value;
}

/** Forgets the reader. Only after the socket has closed: native code writes to its memory until then. */
export function stopReading(socket: Socket): void {
  if (found === undefined || found === "unknown") return;
  const values = socket as unknown as Indexed;
  values[found.buffer] = null;
  values[found.callback] = null;
  values[found.generator] = null;
}

/** Reads again after `onRead` returned false. */
export function resumeReading(socket: Socket): void {
  if (!socket.destroyed) socket.resume();
}
