/**
 * Readiness of many descriptors at once: one epoll(7) instance for each thread, whose own descriptor Node's loop watches.
 * Applications' sockets use it instead of Node's: a connection of ours is then one object and its system calls, not a handle,
 * two streams and their callbacks (docs/performance.md).
 *
 * With EPOLLET events tell of changes, so whoever is called must read or write until the kernel has no more, or ask to be
 * called again. Without, they come again each turn as long as there is something.
 */
import process, { arch } from "node:process";
import { isMainThread } from "node:worker_threads";
import { beginTurn, endTurn } from "../base/turn.ts";
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD } from "./constants.ts";
import { checked, libc } from "./libc.ts";
import { raise, UV_READABLE, UvPoll } from "./uv-poll.ts";

export interface ReadyListener {
  /** EPOLLIN, EPOLLOUT and so on; 0 when it asked to be called again. */
  ready(events: number): void;
}

const mostEvents = 256;
/** `struct epoll_event` in words: packed on x86_64, aligned elsewhere. The datum is the descriptor, then its generation. */
const [eventWords, datumWord] = arch === "x64" ? [3, 1] : [4, 2];

export class Epoll {
  readonly #fd: number;
  readonly #poll: UvPoll;
  readonly #events = new Uint32Array(mostEvents * eventWords);
  readonly #eventBytes = new Uint8Array(this.#events.buffer);
  readonly #event = new Int32Array(eventWords);
  readonly #change = new Uint8Array(this.#event.buffer);
  /** By descriptor. */
  readonly #listeners: (ReadyListener | undefined)[] = [];
  readonly #generations: number[] = [];
  #size = 0;
  #generation = 0;
  #again: ReadyListener[] = [];
  readonly #runAgain = (): void => this.#callAgain();

  constructor() {
    this.#fd = checked("epoll_create1", libc().epollCreate(EPOLL_CLOEXEC));
    this.#poll = new UvPoll(this.#fd, () => this.#dispatch());
    this.#poll.want(UV_READABLE);
    this.#poll.keepAlive(false);
  }

  /** These events are told from now on, also what is there already. */
  add(fd: number, events: number, listener: ReadyListener): void {
    this.#generation = (this.#generation + 1) | 0;
    this.#control(EPOLL_CTL_ADD, fd, events, this.#generation);
    this.#listeners[fd] = listener;
    this.#generations[fd] = this.#generation;
    if (this.#size++ === 0) this.#poll.keepAlive(true);
  }

  /** Other events, another listener; what is there already is told once more. */
  change(fd: number, events: number, listener: ReadyListener): void {
    this.#control(EPOLL_CTL_MOD, fd, events, this.#generations[fd] ?? 0);
    this.#listeners[fd] = listener;
  }

  /** Call before the descriptor is closed, and close it then: the kernel forgets it by itself. */
  remove(fd: number): void {
    if (this.#listeners[fd] === undefined) return;
    this.#listeners[fd] = undefined;
    if (--this.#size === 0) this.#poll.keepAlive(false);
  }

  /** Calls this listener in the next turn, with no events. */
  callAgain(listener: ReadyListener): void {
    if (this.#again.push(listener) === 1) setImmediate(this.#runAgain);
  }

  /** Closes all that is watched, and itself. */
  close(): void {
    this.#poll.abandon();
    for (const [fd, listener] of this.#listeners.entries())
      if (listener !== undefined) libc().close(fd);
    libc().close(this.#fd);
  }

  #control(operation: number, fd: number, events: number, generation: number): void {
    const event = this.#event;
    event[0] = events;
    event[datumWord] = fd;
    event[datumWord + 1] = generation;
    checked("epoll_ctl", libc().epollControl(this.#fd, operation, fd, this.#change));
  }

  #dispatch(): void {
    const count = libc().epollWait(this.#fd, this.#eventBytes, mostEvents, 0);
    const words = this.#events;
    beginTurn();
    for (let i = 0; i < count; i++) {
      const at = i * eventWords;
      const fd = words[at + datumWord] ?? 0;
      // An earlier event of this round may have closed it, and the next connection may have got its number.
      if (this.#generations[fd] !== ((words[at + datumWord + 1] ?? 0) | 0)) continue;
      const listener = this.#listeners[fd];
      if (listener !== undefined) tell(listener, words[at] ?? 0);
    }
    endTurn();
  }

  #callAgain(): void {
    const list = this.#again;
    this.#again = [];
    beginTurn();
    for (const listener of list) tell(listener, 0);
    endTurn();
  }
}

/** A defect costs the connection it happened on: the others of the round hear of their events only this once. */
function tell(listener: ReadyListener, events: number): void {
  try {
    listener.ready(events);
  } catch (thrown) {
    setImmediate(raise, thrown);
  }
}

let ofThread: Epoll | undefined;

/** The one of the calling thread. */
export function threadEpoll(): Epoll {
  if (ofThread !== undefined) return ofThread;
  const epoll = new Epoll();
  ofThread = epoll;
  // A process takes its descriptors with it, a thread does not.
  if (!isMainThread) process.once("exit", () => epoll.close());
  return epoll;
}
