/**
 * Lets connections survive the end of the listener they wait at. When an old and a new process listen on one port and the old
 * one closes, the kernel resets the connections in its queue that nobody has accepted yet, unless this switch of
 * the namespace is on: then they move to the other listener.
 */
import { writeFileSync } from "node:fs";
import { NetworkNamespace } from "./network-namespace.ts";

/** Linux 5.14. The path means the namespace of the thread that opens it. */
const SWITCH = "/proc/sys/net/ipv4/tcp_migrate_req";

/** Best effort: an old kernel has no such switch, /proc/sys may be read-only, and the node's own settings are not ours. */
export function allowAcceptHandover(namespace: NetworkNamespace): void {
  if (namespace.sameAs(NetworkNamespace.own())) return;
  try {
    namespace.enter(() => writeFileSync(SWITCH, "1"));
  } catch {
    // Then a few connections are reset at an upgrade, as with any other program.
  }
}
