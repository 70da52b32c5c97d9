/** Who listens in a network namespace, whatever process it is: the kernel's own tables of TCP sockets. */
import { closeSync, openSync, readSync } from "node:fs";
import type { NetworkNamespace } from "./network-namespace.ts";

/** Of the calling thread, and so of the namespace it has entered. */
const TABLES = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
const CHUNK_BYTES = 64 * 1024;
const STATE_LISTEN = "0A";
/** `sl local_address rem_address st`; addresses are `HEX:PORT`. */
const ENTRY = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /;

/** Sockets listening on a port in a table as far as it was read. The kernel lists listening sockets first. */
export function countInTable(table: string, port: number): { count: number; complete: boolean } {
  let count = 0;
  for (const line of table.split("\n").slice(1)) {
    const entry = ENTRY.exec(line);
    if (entry === null) continue;
    if (entry[2] !== STATE_LISTEN) return { count, complete: true };
    if (Number.parseInt(entry[1] ?? "", 16) === port) count++;
  }
  return { count, complete: false };
}

/** TCP sockets that listen on the port, on any address. Throws when the kernel shows no such tables. */
export function countListeners(namespace: NetworkNamespace, port: number): number {
  return namespace.enter(() => TABLES.reduce((sum, path) => sum + countInFile(path, port), 0));
}

/** Stops reading behind the listeners: a busy pod has many thousand other sockets. */
function countInFile(path: string, port: number): number {
  const fd = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let table = "";
    for (;;) {
      const length = readSync(fd, chunk);
      table += chunk.toString("latin1", 0, length);
      const { count, complete } = countInTable(table, port);
      if (complete || length === 0) return count;
    }
  } finally {
    closeSync(fd);
  }
}
