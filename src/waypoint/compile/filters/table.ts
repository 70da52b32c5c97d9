/** Which compiler reads which type of configuration. */
import type { FilterEnvironment } from "../../filters/environment.ts";
import type { HttpFilter, NetworkFilter } from "../../filters/filter.ts";
import type { PerRouteSettings } from "../../filters/per-route.ts";
import type { Notes, Path } from "../notes.ts";
import { compileCors, compileCorsPolicy } from "./cors.ts";
import { compileExtAuthz, compileNetworkExtAuthz } from "./ext-authz.ts";
import { compileFault, compileFaultPlan } from "./fault.ts";
import { compileHeaderMutation } from "./header-mutation.ts";
import { compileJwt } from "./jwt.ts";
import { compileHttpRbac, compileNetworkRbac } from "./rbac.ts";
import type { TypedConfig } from "./typed-config.ts";

type NamedCompiler<Filter> = (
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
) => Filter;

type PerRouteCompiler = (
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: FilterEnvironment,
) => PerRouteSettings;

const http = "envoy.extensions.filters.http";
const network = "envoy.extensions.filters.network";

export const httpFilterCompilers: ReadonlyMap<string, NamedCompiler<HttpFilter>> = new Map([
  [`${http}.rbac.v3.RBAC`, compileHttpRbac],
  [`${http}.fault.v3.HTTPFault`, compileFault],
  [`${http}.cors.v3.Cors`, compileCors],
  [`${http}.jwt_authn.v3.JwtAuthentication`, compileJwt],
  [`${http}.ext_authz.v3.ExtAuthz`, compileExtAuthz],
  [`${http}.header_mutation.v3.HeaderMutation`, compileHeaderMutation],
]);

export const networkFilterCompilers: ReadonlyMap<string, NamedCompiler<NetworkFilter>> = new Map([
  [`${network}.rbac.v3.RBAC`, compileNetworkRbac],
  [`${network}.ext_authz.v3.ExtAuthz`, compileNetworkExtAuthz],
]);

export const perRouteCompilers: ReadonlyMap<string, PerRouteCompiler> = new Map<
  string,
  PerRouteCompiler
>([
  [
    `${http}.fault.v3.HTTPFault`,
    (config, path, notes) => ({ kind: "fault", fault: compileFaultPlan(config, path, notes) }),
  ],
  [
    `${http}.cors.v3.CorsPolicy`,
    (config, path, notes) => ({ kind: "cors", cors: compileCorsPolicy(config, path, notes) }),
  ],
  // Of filters that no waypoint has (wire/waypoint.md section 5.2): Envoy reads them past as well.
  [`${http}.stateful_session.v3.StatefulSessionPerRoute`, inert],
  [`${http}.ext_proc.v3.ExtProcPerRoute`, inert],
]);

function inert(config: TypedConfig, path: Path, notes: Notes): PerRouteSettings {
  notes.decorates(path, `${config.typeName} has no effect: waypoints do not have this filter`);
  return { kind: "inert" };
}
