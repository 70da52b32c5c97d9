/** The tables of all recorded cases. */
import type { CaseTable } from "../../../support/waypoint/cases/looks.ts";
import { denyAll, denyService, methodsAndPaths, tcp } from "./tables/authorization.ts";
import { affinity, balancers, breaker } from "./tables/balancing.ts";
import { base } from "./tables/base.ts";
import { egress } from "./tables/egress.ts";
import { grpcRoute, httpRoute } from "./tables/gateway-routes.ts";
import { telemetry } from "./tables/telemetry.ts";
import { tokens } from "./tables/tokens.ts";
import { canary, fault, match, rewrite } from "./tables/virtual-services.ts";
import { workload } from "./tables/workload.ts";

export const tables: readonly CaseTable[] = [
  denyAll,
  denyService,
  methodsAndPaths,
  tcp,
  base,
  breaker,
  balancers,
  egress,
  grpcRoute,
  httpRoute,
  tokens,
  affinity,
  telemetry,
  canary,
  fault,
  match,
  rewrite,
  workload,
];
