/** TCP to an endpoint, over whichever of its addresses answers first (RFC 8305 in little). */
import type { Socket } from "node:net";
import type { Clock } from "../../../shared/base/clock.ts";
import type { SocketAddress } from "../../../shared/net/authority.ts";
import { familyOf } from "../../../shared/net/ip.ts";
import type { KeepAlive, PodNetwork } from "../../../shared/os/network.ts";
import type { TcpKeepAlive } from "../../model/cluster.ts";

/** Envoy's and RFC 8305's recommendation lie between 250 and 300 ms. */
const nextAddressMs = 300;

export interface TcpDeps {
  readonly network: Pick<PodNetwork, "dialTcp">;
  readonly clock: Clock;
}

export interface TcpDial {
  readonly addresses: readonly SocketAddress[];
  readonly timeoutMs: number;
  readonly keepAlive: TcpKeepAlive | undefined;
  readonly signal: AbortSignal;
}

export async function dialTcp(deps: TcpDeps, dial: TcpDial): Promise<Socket> {
  const [only, ...others] = alternating(dial.addresses);
  if (only === undefined) throw new RangeError("no address to connect to");
  return others.length === 0 ? dialOne(deps, dial, only, dial.signal) : race(deps, dial);
}

function dialOne(
  { network }: TcpDeps,
  dial: TcpDial,
  destination: SocketAddress,
  signal: AbortSignal,
): Promise<Socket> {
  return network.dialTcp({
    destination,
    timeoutMs: dial.timeoutMs,
    keepAlive: kernelKeepAlive(dial.keepAlive),
    signal,
  });
}

/** One address after the other, each a while after the one before or at once when that has failed; the first wins. */
function race(deps: TcpDeps, dial: TcpDial): Promise<Socket> {
  const { signal } = dial;
  const waiting = alternating(dial.addresses);
  const losers = new AbortController();
  const onAbort = (): void => losers.abort(signal.reason);
  return new Promise<Socket>((resolve, reject) => {
    let underWay = 0;
    let isOver = false;
    const finish = (settle: () => void): void => {
      isOver = true;
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      settle();
      losers.abort(new Error("another address was faster"));
    };
    const next = (): void => {
      const destination = waiting.shift();
      if (isOver || destination === undefined) return;
      underWay++;
      timer.cancel();
      timer = deps.clock.after(nextAddressMs, next);
      dialOne(deps, dial, destination, losers.signal).then(
        (socket) => (isOver ? socket.destroy() : finish(() => resolve(socket))),
        (thrown) => {
          underWay--;
          if (isOver) return;
          if (signal.aborted || (underWay === 0 && waiting.length === 0))
            finish(() => reject(thrown));
          else next();
        },
      );
    };
    let timer = deps.clock.after(nextAddressMs, next);
    signal.addEventListener("abort", onAbort, { once: true });
    next();
  });
}

/** The first address's family first, then in turns, so that a family that does not work costs one wait. */
function alternating(addresses: readonly SocketAddress[]): SocketAddress[] {
  const [first] = addresses;
  if (first === undefined) return [];
  const family = familyOf(first.ip);
  const same = addresses.filter(({ ip }) => familyOf(ip) === family);
  const other = addresses.filter(({ ip }) => familyOf(ip) !== family);
  const ordered: SocketAddress[] = [];
  for (let at = 0; at < Math.max(same.length, other.length); at++) {
    const [mine, theirs] = [same[at], other[at]];
    if (mine !== undefined) ordered.push(mine);
    if (theirs !== undefined) ordered.push(theirs);
  }
  return ordered;
}

/** What is not said is as Linux has it. */
function kernelKeepAlive(keepAlive: TcpKeepAlive | undefined): KeepAlive | undefined {
  if (keepAlive === undefined) return undefined;
  return {
    idleSeconds: keepAlive.idleSeconds ?? 7200,
    intervalSeconds: keepAlive.intervalSeconds ?? 75,
    probes: keepAlive.probes ?? 9,
  };
}
