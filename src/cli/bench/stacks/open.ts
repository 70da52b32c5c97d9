/** Brings up the stack that a run names. */
import type { Ground } from "../ground.ts";
import type { RunSpec } from "../spec.ts";
import { openAmbit } from "./ambit.ts";
import { openDirect } from "./direct.ts";
import { envoyBinary } from "./envoy.ts";
import { openSidecars } from "./sidecars.ts";
import type { Stack } from "./stack.ts";

export function openStack(ground: Ground, spec: RunSpec): Promise<Stack> {
  switch (spec.stack) {
    case "direct":
      return Promise.resolve(openDirect(ground));
    case "ambit":
      return openAmbit(ground, spec);
    case "ambit-workers":
      return openAmbit(ground, { ...spec, ztunnelEnv: { ZTUNNEL_WORKER_THREADS: "2" } });
    case "ztunnel":
      return openAmbit(ground, { ...spec, ztunnel: [process.env["ZTUNNEL_BIN"] ?? ""] });
    case "sidecars":
      return openSidecars(ground, presentEnvoy());
    case "ambit-waypoint":
      return openAmbit(ground, { ...spec, waypoint: "ambit" });
    case "envoy-waypoint":
      return openAmbit(ground, { ...spec, waypoint: { envoy: presentEnvoy() } });
  }
}

function presentEnvoy(): string {
  const envoy = envoyBinary(process.env);
  if (envoy === undefined) throw new Error("there is no Envoy (ENVOY_BIN)");
  return envoy;
}
