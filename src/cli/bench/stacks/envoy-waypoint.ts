/** Starts Envoy in the waypoint's pod, with a certificate of the mesh for the waypoint's identity. */
import type { ManagedProcess } from "../../world/process.ts";
import type { Ground } from "../ground.ts";
import { BENCH_NAMESPACE, WAYPOINT } from "../topology.ts";
import { writeMeshCertificates } from "./certificates.ts";
import { startEnvoy } from "./envoy.ts";
import { waypointBootstrap } from "./envoy-waypoint-config.ts";

/** As many threads as ours has. */
const CONCURRENCY = 1;

export async function openEnvoyWaypoint(ground: Ground, binary: string): Promise<ManagedProcess> {
  const folder = ground.world.path("envoy-waypoint");
  const stateDir = ground.world.path("state");
  const files = writeMeshCertificates(folder, BENCH_NAMESPACE, [WAYPOINT], stateDir).get(WAYPOINT);
  if (files === undefined) throw new Error("no certificate for the waypoint");
  const bootstrap = waypointBootstrap(files, ground.pod("server").ip);
  return startEnvoy(ground, { binary, pod: WAYPOINT, bootstrap, concurrency: CONCURRENCY });
}
