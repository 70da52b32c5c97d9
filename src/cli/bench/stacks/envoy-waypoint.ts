/** Starts Envoy in the waypoint's pod, with a certificate of the mesh for the waypoint's identity. */
import { mkdirSync, writeFileSync } from "node:fs";
import type { ManagedProcess } from "../../world/process.ts";
import type { Ground } from "../ground.ts";
import { BENCH_NAMESPACE, WAYPOINT } from "../topology.ts";
import { writeMeshCertificates } from "./certificates.ts";
import { waypointBootstrap } from "./envoy-waypoint-config.ts";
import { envoyReady } from "./sidecars.ts";

export async function openEnvoyWaypoint(ground: Ground, envoy: string): Promise<ManagedProcess> {
  const folder = ground.world.path("envoy-waypoint");
  mkdirSync(folder, { recursive: true });
  const stateDir = ground.world.path("state");
  const files = writeMeshCertificates(folder, BENCH_NAMESPACE, [WAYPOINT], stateDir).get(WAYPOINT);
  if (files === undefined) throw new Error("no certificate for the waypoint");
  const config = `${folder}/envoy.json`;
  writeFileSync(config, JSON.stringify(waypointBootstrap(files, ground.pod("server").ip)));
  const child = ground.world.start(ground.pod(WAYPOINT).netns, {
    name: `envoy ${WAYPOINT}`,
    // One thread, as ours has.
    command: [
      envoy,
      "-c",
      config,
      "--concurrency",
      "1",
      "--log-level",
      "warning",
      "--disable-hot-restart",
    ],
  });
  await envoyReady(ground, child);
  return child;
}
