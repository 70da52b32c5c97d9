/** All metrics of the control plane. */
import type { ObjectSource } from "../shared/objects/source.ts";
import type { Metrics } from "../shared/telemetry/metrics.ts";
import type { CertificateOutcome } from "./ca/service.ts";
import type { MeshModel } from "./mesh-model.ts";
import { createPushMetrics, type PushMetrics } from "./push/metrics.ts";

export interface ControlPlaneMetrics {
  readonly push: PushMetrics;
  readonly stepTook: (milliseconds: number) => void;
  readonly certificateAnswered: (outcome: CertificateOutcome) => void;
  /** Shows the sizes of the state from now on. */
  readonly observe: (objects: ObjectSource, model: MeshModel) => void;
}

/** A step is expected to stay below 0.2 s. */
const STEP_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5];

export function createControlPlaneMetrics(metrics: Metrics): ControlPlaneMetrics {
  const steps = metrics.histogram({
    name: "ambit_translation_duration_seconds",
    help: "Time from changed objects to a published snapshot",
    buckets: STEP_BUCKETS_S,
  });
  const certificates = metrics.counter({
    name: "ambit_ca_requests",
    help: "Answered certificate requests, by outcome",
    labelNames: ["outcome"],
  });
  return {
    push: createPushMetrics(metrics),
    stepTook: (milliseconds) => steps.observe(milliseconds / 1000),
    certificateAnswered: (outcome) => {
      certificates.series(outcome).value++;
    },
    observe: (objects, model) => observeSizes(metrics, objects, model),
  };
}

function observeSizes(metrics: Metrics, objects: ObjectSource, model: MeshModel): void {
  const sizes: readonly (readonly [name: string, help: string, read: () => number])[] = [
    ["ambit_objects", "Objects in force", () => objects.snapshot.objects.size],
    [
      "ambit_config_problems",
      "Refused objects, broken files and fields",
      () => objects.snapshot.problems.length,
    ],
    ["ambit_workloads", "Workloads sent to node proxies", () => model.state.workloads.size],
    ["pilot_services", "Services sent to node proxies", () => model.state.services.size],
    [
      "ambit_policies",
      "Authorization policies sent to node proxies",
      () => model.state.policies.size,
    ],
  ];
  for (const [name, help, read] of sizes) {
    const family = metrics.gauge({
      name,
      help,
      collect: () => {
        family.series().value = read();
      },
    });
    family.series().value = read();
  }
}
