/** An Envoy beside each of the two pods: what the mesh without sidecars is compared with. */
import { systemClock } from "../../../shared/base/clock.ts";
import type { Ground } from "../ground.ts";
import { BENCH_NAMESPACE } from "../topology.ts";
import { writeCertificates } from "./certificates.ts";
import { startEnvoy } from "./envoy.ts";
import { sidecarBootstrap, sidecarRules } from "./envoy-config.ts";
import type { Stack } from "./stack.ts";

/** What sidecar meshes give a proxy that was given no CPU limit of its own. */
const CONCURRENCY = 2;

export async function openSidecars(ground: Ground, binary: string): Promise<Stack> {
  const startedMs = systemClock.monotonicMs();
  const folder = ground.world.path("sidecars");
  const pods = ["client", "server"] as const;
  const certificates = writeCertificates(folder, BENCH_NAMESPACE, pods);
  const start = (pod: (typeof pods)[number]): ReturnType<typeof startEnvoy> => {
    const certificate = certificates.get(pod);
    if (certificate === undefined) throw new Error(`no certificate for the ${pod}`);
    const inbound = pod === "server";
    const other = inbound ? "client" : "server";
    const side = {
      certificate,
      peer: `spiffe://cluster.local/ns/${BENCH_NAMESPACE}/sa/${other}`,
      accessLog: `${folder}/${pod}.log`,
    };
    const bootstrap = sidecarBootstrap(side, inbound);
    return startEnvoy(ground, { binary, pod, bootstrap, concurrency: CONCURRENCY });
  };
  // Both listen before anything is redirected to them.
  const processes = await Promise.all(pods.map(start));
  for (const pod of pods) {
    const rules = sidecarRules(pod === "server");
    const { netns } = ground.pod(pod);
    const { code, stderr } = await ground.world.run(netns, ["nft", "-f", "-"], rules);
    if (code !== 0) throw new Error(`cannot redirect to the sidecar: ${stderr}`);
  }
  const host = ground.pod("server").ip;
  if (!(await ground.answers(host, 5)))
    throw processes[0]?.failure("passes nothing on") ?? new Error("no sidecars");
  return {
    host,
    dataPath: [{ name: "sidecar", pids: processes.map(({ pid }) => pid) }],
    control: [],
    startedInMs: systemClock.monotonicMs() - startedMs,
  };
}
