/** Plaintext on its way into the pod, captured on 15006 (wire/ztunnel.md section 5.5): no identity, policy still applies. */
import { asMeshError, MeshError } from "../../shared/base/errors.ts";
import { joinFlow } from "../../shared/hbone/flow.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { TcpConnection } from "../../shared/os/tcp-connection.ts";
import { partyOf } from "../telemetry/party.ts";
import { admit } from "./admit.ts";
import type { TrackedConnection } from "./connections.ts";
import { recordRefusal } from "./decisions.ts";
import { decidePassthrough } from "./route-inbound.ts";
import type { PodScope } from "./scope.ts";

/** Serves one accepted socket to its end. Never rejects; afterwards nothing of the connection is left. */
export async function handlePassthrough(scope: PodScope, socket: TcpConnection): Promise<void> {
  const { reporter } = scope.node;
  const { peer } = socket;
  const destination = scope.network.originalDestination(socket);
  const open = reporter.metrics.socketsOpen("destination");
  open.value++;
  const tracked = scope.connections.add("inbound");
  try {
    if (destination === undefined) return;
    await serve(scope, socket, tracked, peer, destination);
  } catch (thrown) {
    const error = asMeshError(thrown, "io-failed", "io error");
    reporter.earlyDeny("inbound", peer, destination, error);
    recordRefusal(scope, { direction: "inbound", source: peer, destination, error });
  } finally {
    socket.close();
    tracked.over();
    open.value--;
  }
}

async function serve(
  scope: PodScope,
  socket: TcpConnection,
  tracked: TrackedConnection,
  peer: SocketAddress,
  destination: SocketAddress,
): Promise<void> {
  const { node } = scope;
  const { illegalPorts, store, config } = node;
  // Before anything is waited for: such a call could otherwise multiply while it waits.
  if (illegalPorts.has(destination.port))
    throw new MeshError("self-call", "attempted recursive call to ourselves");
  const local = scope.local.current() ?? (await scope.local.wait(tracked.signal));
  const decision = decidePassthrough(store, { illegalPorts }, { local, peer, destination });
  if (decision.kind === "refuse") throw new MeshError(decision.code, decision.message);
  const known = store.workloadByAddress(config.network, peer.ip);
  const admission = await admit({
    scope,
    tracked,
    peer,
    arrivedAt: destination,
    local,
    decision,
    source: known && partyOf(known),
    authority: undefined,
    forwardedHost: undefined,
  });
  if (admission.kind !== "open") return;
  const flow = joinFlow(socket, admission.application);
  tracked.opened(flow);
  admission.report.follow(() => ({ toServer: flow.sent, toClient: flow.received }));
  const { error } = await flow.done;
  admission.report.end(error, tracked.cutBy);
}
