/**
 * TCP descriptors as sockets of Node. `new Socket({ fd })` asks the system four times what kind of file it got; we know, and
 * hand it a TCP handle instead. The class of the handles is not public, so it is taken from the first socket, which is made
 * the documented way, as are all others where that class looks different from what is expected.
 */
import { Socket, type SocketConstructorOpts } from "node:net";

interface TcpHandle {
  /** 0, or a negative error number of libuv. */
  open(fd: number): number;
}

/** The argument says what the handle is for; 0 is a connection. */
type TcpHandleClass = new (purpose: 0) => TcpHandle;

/** What the server itself passes for `pauseOnConnect`, and for a handle it has accepted; the types do not know it. */
interface AdoptionOptions extends SocketConstructorOpts {
  readonly pauseOnCreate: true;
  readonly handle?: TcpHandle;
}

let handleClass: TcpHandleClass | undefined;

/** The socket owns the descriptor. It is paused and may be half-open. Throws when the descriptor is no socket. */
export function adoptTcpSocket(fd: number): Socket {
  const options: AdoptionOptions = { allowHalfOpen: true, pauseOnCreate: true };
  if (handleClass !== undefined) {
    const handle = new handleClass(0);
    if (handle.open(fd) === 0) return socketOf({ ...options, handle });
  }
  const socket = socketOf({ ...options, fd });
  handleClass ??= classOf(socket);
  return socket;
}

function socketOf(options: AdoptionOptions): Socket {
  return new Socket(options);
}

function classOf(socket: Socket): TcpHandleClass | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return undefined;
  const made = handle.constructor;
  const known = made.name === "TCP" && "open" in handle && typeof handle.open === "function";
  return known ? (made as TcpHandleClass) : undefined;
}
