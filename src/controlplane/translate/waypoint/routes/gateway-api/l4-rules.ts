/** Rules of TCPRoutes and TLSRoutes as those of a VirtualService. */
import type { L4Rule } from "../../../../../shared/objects/kinds/routes.ts";
import type {
  L4DestinationSpec,
  VirtualServiceSpec,
} from "../../../../../shared/objects/kinds/virtual-service.ts";
import type { ObjectOf } from "../../../../../shared/objects/kinds.ts";
import { type ConversionContext, convertBackend, hasWeight, weighted } from "./backends.ts";
import { type Converted, type ConvertedRule, collect, type RouteFault } from "./outcome.ts";

export type TcpRule = VirtualServiceSpec["tcp"][number];
export type TlsRule = VirtualServiceSpec["tls"][number];

const NOTHING = { destinationSubnets: [], sourceLabels: {}, sourceNamespace: "", gateways: [] };

/** Without weight connections are refused, by a cluster that is not there. */
const NOWHERE: L4DestinationSpec = {
  destination: {
    host: "internal.cluster.local",
    subset: "zero-weight",
    port: { number: 65_535 },
  },
  weight: 0,
};

export function convertTcpRoute(
  { spec, metadata }: ObjectOf<"TCPRoute">,
  context: ConversionContext,
): Converted<TcpRule> {
  return collect(
    spec.rules.map((rule): ConvertedRule<TcpRule> => {
      const { route, fault } = destinations(rule, metadata.namespace, context);
      return { rule: route && { match: [], route }, fault };
    }),
  );
}

export function convertTlsRoute(
  { spec, metadata }: ObjectOf<"TLSRoute">,
  context: ConversionContext,
): Converted<TlsRule> {
  const sniHosts = spec.hostnames.length === 0 ? ["*"] : spec.hostnames;
  return collect(
    spec.rules.map((rule): ConvertedRule<TlsRule> => {
      if (!hasWeight(rule.backendRefs))
        return { rule: { match: [], route: [NOWHERE] }, fault: undefined };
      const { route, fault } = destinations(rule, metadata.namespace, context);
      return { rule: route && { match: [{ ...NOTHING, sniHosts }], route }, fault };
    }),
  );
}

function destinations(
  { backendRefs }: L4Rule,
  namespace: string,
  context: ConversionContext,
): {
  readonly route: readonly L4DestinationSpec[] | undefined;
  readonly fault: RouteFault | undefined;
} {
  if (!hasWeight(backendRefs)) return { route: [NOWHERE], fault: undefined };
  const route: L4DestinationSpec[] = [];
  let fault: RouteFault | undefined;
  for (const backend of weighted(backendRefs)) {
    const converted = convertBackend(backend, namespace, context);
    const { destination } = converted;
    if (destination === undefined) return { route: undefined, fault: converted.fault };
    fault = converted.fault ?? fault;
    route.push({ destination, weight: backend.weight });
  }
  return { route, fault };
}

export function tcpAtPort(rules: readonly TcpRule[], port: number | undefined): readonly TcpRule[] {
  if (port === undefined) return rules;
  return rules.map((rule) => ({ ...rule, match: [{ ...NOTHING, port }] }));
}

/** `hosts` are the parent's: they stand in where the route names none. */
export function tlsAt(
  rules: readonly TlsRule[],
  port: number | undefined,
  hosts: readonly string[],
  host: string,
): readonly TlsRule[] {
  return rules.map((rule) => ({
    ...rule,
    match: rule.match.map((match) => {
      const whole = match.sniHosts.length === 1 && match.sniHosts[0] === "*";
      const stated = whole ? hosts : match.sniHosts;
      const sniHosts = stated.length > 1 ? stated.filter((name) => matches(host, name)) : stated;
      return { ...match, sniHosts, ...(port === undefined ? {} : { port }) };
    }),
  }));
}

function matches(a: string, b: string): boolean {
  if (a.startsWith("*")) return b.endsWith(a.slice(1));
  if (b.startsWith("*")) return a.endsWith(b.slice(1));
  return a === b;
}
