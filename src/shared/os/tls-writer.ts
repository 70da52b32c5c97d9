/**
 * Writes to a TLS socket without the stream around it. Node's streams take each write through half a dozen functions and two
 * ticks that every other socket of the process shares; for one write in flight, whose buffer is free again at the return,
 * none of that is needed. Touches undocumented parts of Node (StreamBase::WriteBuffer and its request object, the same in
 * 20, 24 and 26). The class of the requests is taken from the first write, which is made the documented way, as are all
 * others where it looks different from what is expected.
 */
import type { TLSSocket } from "node:tls";
import { errnoName } from "./errno.ts";

/** What native code fills in and calls back. */
interface WriteRequest {
  handle: WriteHandle;
  oncomplete: (this: WriteRequest, status: number) => void;
  async: boolean;
  writer: TlsWriter | undefined;
}

type WriteRequestClass = new () => WriteRequest;

interface WriteHandle {
  /** 0, or a negative error number of libuv. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
}

let requestClass: WriteRequestClass | "unknown" | undefined = "unknown";

/** For tests, and for an operator who distrusts the fast way: streams from now on. */
export function disableDirectWrites(): void {
  requestClass = undefined;
}

export class TlsWriter {
  readonly #socket: TLSSocket;
  readonly #onWritten: () => void;

  /** `onWritten` is called in a later turn, also after a failure; the socket tells of those. */
  constructor(socket: TLSSocket, onWritten: () => void) {
    this.#socket = socket;
    this.#onWritten = onWritten;
  }

  /** Only when no other write is in flight, on a socket that is connected. The memory is free again after the return. */
  write(bytes: Buffer): void {
    if (this.#socket.destroyed) return;
    const handle = handleOf(this.#socket);
    if (handle === undefined || requestClass === undefined || requestClass === "unknown") {
      if (handle !== undefined && requestClass === "unknown") learnFrom(handle);
      this.#socket.write(bytes, this.#onWritten);
      return;
    }
    const request = new requestClass();
    request.handle = handle;
    request.oncomplete = completed;
    request.async = false;
    request.writer = this;
    const failure = handle.writeBuffer(request, bytes);
    if (failure !== 0) this.#socket.destroy(failureOf(failure));
  }

  /** Only for the request. */
  completed(status: number): void {
    if (status < 0 && !this.#socket.destroyed) this.#socket.destroy(failureOf(status));
    this.#onWritten();
  }
}

/** As Node itself would call it. */
function failureOf(status: number): Error {
  const code = errnoName(-status);
  return Object.assign(new Error(`write ${code}`), { code });
}

function completed(this: WriteRequest, status: number): void {
  const { writer } = this;
  this.writer = undefined;
  writer?.completed(status);
}

function handleOf(socket: TLSSocket): WriteHandle | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return undefined;
  return "writeBuffer" in handle && typeof handle.writeBuffer === "function"
    ? (handle as WriteHandle)
    : undefined;
}

/** Looks at the request of the next write, which passes through here once. */
function learnFrom(handle: WriteHandle): void {
  Object.defineProperty(handle, "writeBuffer", {
    configurable: true,
    value: (request: WriteRequest, bytes: Buffer): number => {
      Reflect.deleteProperty(handle, "writeBuffer");
      const made = request.constructor;
      const known = made.name === "WriteWrap" && "oncomplete" in request && "handle" in request;
      if (requestClass === "unknown")
        requestClass = known ? (made as WriteRequestClass) : undefined;
      return handle.writeBuffer(request, bytes);
    },
  });
}
