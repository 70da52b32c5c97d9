/**
 * Runs a function that C has called as Node runs callbacks of its own: afterwards promises go on, and what was put off to the
 * next tick. Native parts of Node insist on it: one that calls back into JavaScript outside of such a scope ends the process
 * ("Assertion failed: (env_->execution_async_id()) == (0)").
 *
 * Node has no public door for that. But the stream that it puts below TLS on a Duplex asks for reads by such a callback, at
 * once (JSStream::ReadStart, the same in 20, 24 and 26). Where that looks different from what is expected there is no
 * scope, and whoever is called by C waits for the next immediate instead.
 */
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

interface ReadAsking {
  onreadstart: () => number;
  readStart(): number;
}

export class CallbackScope {
  readonly #stream: ReadAsking;
  #work: (() => void) | undefined;
  #failure: { readonly thrown: unknown } | undefined;

  private constructor(stream: ReadAsking) {
    this.#stream = stream;
    stream.onreadstart = () => {
      // Thrown from here it would be nobody's.
      try {
        this.#work?.();
      } catch (thrown) {
        this.#failure = { thrown };
      }
      return 0;
    };
  }

  /** Undefined where this Node has none. */
  static find(): CallbackScope | undefined {
    const stream = newStream();
    if (stream === undefined) return undefined;
    const scope = new CallbackScope(stream);
    let ran = false;
    scope.run(() => {
      ran = true;
    });
    return ran ? scope : undefined;
  }

  /** Not from within another `run`. What the function throws is thrown here. */
  run(work: () => void): void {
    this.#work = work;
    this.#stream.readStart();
    const failure = this.#failure;
    if (failure === undefined) return;
    this.#failure = undefined;
    throw failure.thrown;
  }
}

/** Of the class that Node uses; it is taken from a socket that goes nowhere. */
function newStream(): ReadAsking | undefined {
  const socket = new TLSSocket(new Duplex({ read: () => undefined }));
  try {
    const handle: unknown = Reflect.get(socket, "_handle");
    if (typeof handle !== "object" || handle === null) return undefined;
    const below: unknown = Reflect.get(handle, "_parent");
    if (typeof below !== "object" || below === null) return undefined;
    const made = below.constructor;
    const known = made.name === "JSStream" && "onreadstart" in below && "readStart" in below;
    return known ? new (made as new () => ReadAsking)() : undefined;
  } finally {
    socket.destroy();
  }
}
