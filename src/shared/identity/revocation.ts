/**
 * The file of revocation lists (CRL_PATH): read again when it changes, asked at every handshake, and held against the peers of
 * all open connections after each change (wire/ztunnel.md section 2).
 */
import { readFileSync, statSync } from "node:fs";
import type { Clock, Timer } from "../base/clock.ts";
import { describeError, MeshError } from "../base/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { RevocablePeer } from "../tls/channel.ts";
import { checkReadable, type RevocationList, readRevocationLists, revokedInChain } from "./crl.ts";

/** Looking at the file's times is cheap, and sees what watching a directory may miss (a mounted volume that is swapped). */
const POLL_INTERVAL_MS = 1000;

/** Whether we opened the connection (the peer is a server) or accepted it. */
export type TlsRole = "client" | "server";

/** What the handshakes ask. */
export interface PeerRevocation {
  /** The serial of the peer's certificate that is revoked, if one is. */
  revoked(peer: RevocablePeer, role: TlsRole): string | undefined;
  /** Destroys the connection with an error when its peer is revoked later. */
  track(peer: RevocablePeer, role: TlsRole): void;
}

interface Tracked {
  readonly role: TlsRole;
  readonly chain: readonly Buffer[];
}

export interface RevocationDeps {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts every handshake refused and every connection cut. */
  readonly onRejected?: (role: TlsRole) => void;
  /** Counts connections that a later change of the lists cannot be held against. */
  readonly onUntracked?: (role: TlsRole) => void;
}

export class RevocationFile implements PeerRevocation {
  readonly #deps: RevocationDeps;
  readonly #timer: Timer;
  readonly #tracked = new Map<RevocablePeer, Tracked>();
  #lists: readonly RevocationList[] = [];
  /** What identified the content last seen; undefined: there was no file. */
  #stamp: string | undefined;

  constructor(deps: RevocationDeps) {
    this.#deps = deps;
    this.#load();
    this.#timer = deps.clock.every(POLL_INTERVAL_MS, () => this.#load());
  }

  /** Connections that a reload is held against. */
  get trackedConnections(): number {
    return this.#tracked.size;
  }

  revoked(peer: RevocablePeer, role: TlsRole): string | undefined {
    // Most meshes have an empty file: their handshakes do not pay for reading the chain.
    if (this.#lists.length === 0) return undefined;
    const serial = revokedInChain(peer.peerChain(), this.#lists);
    if (serial !== undefined) this.#deps.onRejected?.(role);
    return serial;
  }

  track(peer: RevocablePeer, role: TlsRole): void {
    const chain = peer.peerChain();
    try {
      // Now, so that no reload can stumble over it.
      checkReadable(chain);
    } catch (thrown) {
      this.#deps.onUntracked?.(role);
      this.#deps.log.warn("connection not tracked for revocation", {
        error: describeError(thrown),
      });
      return;
    }
    this.#tracked.set(peer, { role, chain });
    peer.onClosed(() => this.#tracked.delete(peer));
  }

  close(): void {
    this.#timer.cancel();
    this.#tracked.clear();
  }

  #load(): void {
    const { path, log } = this.#deps;
    try {
      const stamp = stampOf(path);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      this.#lists = stamp === undefined ? [] : readRevocationLists(readFileSync(path));
    } catch (thrown) {
      // What was known stays known: half a file must not let the revoked in.
      log.warn("cannot read certificate revocation lists, keeping the last good ones", {
        path,
        error: describeError(thrown),
      });
      return;
    }
    log.info("certificate revocation lists loaded", { path, lists: this.#lists.length });
    this.#cutRevoked();
  }

  #cutRevoked(): void {
    for (const [peer, { role, chain }] of [...this.#tracked]) {
      const serial = revokedInChain(chain, this.#lists);
      if (serial === undefined) continue;
      this.#deps.onRejected?.(role);
      this.#deps.log.warn("connection cut: peer certificate revoked by CRL", { serial });
      peer.destroy(
        new MeshError("certificate-revoked", "connection closed: peer certificate revoked by CRL"),
      );
    }
  }
}

function stampOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs}`;
}
