/** Which ports need a look at their first bytes: the others must not wait for a client that says nothing first. */
import type {
  ListenerFilterChainMatchPredicateSchema,
  ListenerFilterSchema,
} from "../../../shared/wire/gen/envoy/config/listener/v3/listener_components_pb.js";
import { httpInspector, originalDst, tlsInspector } from "./filters.ts";
import { isHttp, isSniffed, isTls } from "./protocols.ts";
import type { L7Service } from "./services.ts";
import type { Init } from "./wire.ts";

export type ListenerFilterInit = Init<typeof ListenerFilterSchema>;
type Predicate = Init<typeof ListenerFilterChainMatchPredicateSchema>;

/** With workloads behind the waypoint every port may come, and each is looked at. */
export function inspectors(
  services: readonly L7Service[],
  hasWorkloads: boolean,
): ListenerFilterInit[] {
  const settled = hasWorkloads ? [] : settledPorts(services);
  return [
    originalDst,
    settled.length === 0
      ? httpInspector
      : { ...httpInspector, filterDisabled: portsPredicate(settled) },
    ...tlsInspectors(services),
  ];
}

/** Ports that are only ever HTTP, or only ever something else. */
function settledPorts(services: readonly L7Service[]): readonly number[] {
  const kinds = new Map<number, "http" | "tcp" | "unsettled">();
  for (const { number, protocol } of services.flatMap(({ ports }) => ports)) {
    if (protocol === "UDP") continue;
    const known = kinds.get(number);
    const kind = isSniffed(protocol) ? "unsettled" : isHttp(protocol) ? "http" : "tcp";
    kinds.set(number, known === undefined || known === kind ? kind : "unsettled");
  }
  return [...kinds]
    .flatMap(([port, kind]) => (kind === "unsettled" ? [] : [port]))
    .sort((a, b) => a - b);
}

function tlsInspectors(services: readonly L7Service[]): ListenerFilterInit[] {
  const ports = services.flatMap((service) => service.ports);
  const tls = new Set(ports.filter(({ protocol }) => isTls(protocol)).map(({ number }) => number));
  if (tls.size === 0) return [];
  const others = new Set(ports.map(({ number }) => number).filter((port) => !tls.has(port)));
  if (others.size === 0) return [tlsInspector];
  const sorted = [...others].sort((a, b) => a - b);
  return [{ ...tlsInspector, filterDisabled: portsPredicate(sorted) }];
}

function portsPredicate(ports: readonly number[]): Predicate {
  const rules = ports.map(
    (port): Predicate => ({
      rule: { case: "destinationPortRange", value: { start: port, end: port + 1 } },
    }),
  );
  const [only] = rules;
  if (only !== undefined && rules.length === 1) return only;
  return { rule: { case: "orMatch", value: { rules } } };
}
