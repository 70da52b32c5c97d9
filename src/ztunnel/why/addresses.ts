/** The addresses that a destination stands for, found as the pod would find them: through its DNS. */
import type { Service } from "../../shared/model/workload.ts";
import { familyOf, type IpAddress, type IpFamily } from "../../shared/net/ip.ts";
import { kubernetesSearchDomains } from "../dns/candidates.ts";
import { type Resolution, resolve } from "../dns/resolve.ts";
import { inMesh, type Origin, type WhyContext, workloadLabel } from "./context.ts";
import { type Destination, firstAddress, workloadsNamed } from "./find.ts";
import type { WhyName } from "./record.ts";

/** Addresses of one name that are followed. */
const MAX_ADDRESSES = 16;

export type Found =
  | {
      readonly kind: "addresses";
      readonly addresses: readonly IpAddress[];
      readonly name: WhyName | null;
    }
  | {
      readonly kind: "none";
      readonly verdict: "unreachable" | "undecided";
      readonly because: string;
      readonly name: WhyName | null;
    };

export function findAddresses(
  context: WhyContext,
  origin: Origin,
  destination: Destination,
): Found {
  const { target, text } = destination;
  switch (target.kind) {
    case "ip":
      return { kind: "addresses", addresses: [target.ip], name: null };
    case "host":
      return byName(context, origin, target.host);
    case "named": {
      const { namespace, name } = target;
      const service = [...context.view.services()].find(
        (one) => one.namespace === namespace && (one.name === name || one.hostname === name),
      );
      if (service !== undefined) return byName(context, origin, service.hostname);
      return byPod(context, text, name, namespace) ?? nobody(text);
    }
  }
}

function nobody(text: string): Found {
  return {
    kind: "none",
    verdict: "unreachable",
    because: `neither a service nor a pod is called "${text}"`,
    name: null,
  };
}

function byPod(
  context: WhyContext,
  text: string,
  name: string,
  namespace: string,
): Found | undefined {
  const [workload] = workloadsNamed(context, name, namespace);
  const ip = workload && firstAddress(workload);
  if (workload === undefined || ip === undefined) return undefined;
  return {
    kind: "addresses",
    addresses: [ip],
    name: {
      name: text,
      text: `taken for the pod ${workloadLabel(workload)}; DNS has no name for it`,
      addresses: [ip],
    },
  };
}

function byName(context: WhyContext, origin: Origin, host: string): Found {
  const four = ask(context, origin, host, 4);
  const six = ask(context, origin, host, 6);
  const answers = [four, six].filter((one) => one.kind === "answer");
  const all = answers.flatMap((one) => one.addresses).slice(0, MAX_ADDRESSES);
  // A pod without an address of a family does not connect in it.
  const own = new Set((origin.workload?.addresses ?? [origin.ip]).map(familyOf));
  const usable = all.filter((ip) => own.has(familyOf(ip)));
  const addresses = usable.length > 0 ? usable : all;
  const [first] = answers;
  if (first !== undefined)
    return {
      kind: "addresses",
      addresses,
      name: { name: host, text: `${answeredBy(origin)}: ${answerText(first)}`, addresses },
    };
  if (four.kind === "empty")
    return {
      kind: "none",
      verdict: "unreachable",
      because: `${host} is ${serviceText(four.service)}, but ${emptyText(four.reason)}`,
      name: { name: host, text: `${answeredBy(origin)}: no addresses`, addresses: [] },
    };
  return unknownName(context, origin, host, four);
}

function ask(context: WhyContext, origin: Origin, host: string, family: IpFamily): Resolution {
  const { clusterDomain, preferredNamespace, ipv6Enabled, view } = context;
  const { workload, network } = origin;
  const namespace = workload?.namespace ?? "default";
  const client = {
    name: workload?.name ?? "",
    namespace,
    network,
    canonicalName: "",
    canonicalRevision: "",
  };
  return resolve(
    { name: host.replace(/\.$/, "").split("."), family },
    {
      client,
      clusterDomain,
      searchDomains: kubernetesSearchDomains(namespace, clusterDomain),
      preferredNamespace,
      ipv6Enabled,
    },
    view,
  );
}

function answeredBy({ workload }: Origin): string {
  return inMesh(workload)
    ? "the node's DNS proxy answers"
    : "the source does not use the mesh's DNS; the cluster's is taken to answer the same";
}

function serviceText(service: Service): string {
  return `service ${service.namespace}/${service.hostname}`;
}

function answerText(answer: Extract<Resolution, { kind: "answer" }>): string {
  const { service, matched, wildcard, addresses, passedOver } = answer;
  const how = wildcard ? ` by the wildcard ${matched}` : "";
  const kind = service.vips.length === 0 ? "its endpoints, as it has no address" : "its address";
  const others = new Set(
    passedOver.map(({ namespace, hostname, reason }) => `${namespace}/${hostname} (${reason})`),
  );
  const passed = others.size === 0 ? "" : `; passed over: ${[...others].join(", ")}`;
  return `${serviceText(service)}${how}, ${kind} ${addresses.join(", ")}${passed}`;
}

function emptyText(reason: Extract<Resolution, { kind: "empty" }>["reason"]): string {
  switch (reason) {
    case "family-unsupported":
      return "it has no addresses of a family that is in use";
    case "other-network":
      return "its addresses all belong to other networks";
    case "no-endpoints":
      return "it is headless and none of its endpoints is ready";
  }
}

function unknownName(context: WhyContext, origin: Origin, host: string, answer: Resolution): Found {
  const namespace = origin.workload?.namespace ?? "default";
  const pod = host.includes(".") ? undefined : byPod(context, host, host, namespace);
  if (pod !== undefined) return pod;
  const passedOver = answer.kind === "forward" ? answer.passedOver : [];
  const unseen = passedOver
    .map(({ namespace: other, hostname, reason }) => `; ${other}/${hostname} is ${reason}`)
    .join("");
  return {
    kind: "none",
    verdict: "undecided",
    because: `the mesh does not know the name ${host}: the pod's own nameserver answers, so ask again with the address${unseen}`,
    name: { name: host, text: "forwarded to the pod's own nameserver", addresses: [] },
  };
}
