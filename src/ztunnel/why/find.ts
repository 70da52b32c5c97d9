/** From what a person writes to a workload, an address, or several: `--from` and `--to` of `ambit why`. */
import type { Workload } from "../../shared/model/workload.ts";
import { parseAuthority } from "../../shared/net/authority.ts";
import { familyOf, type IpAddress, parseIp } from "../../shared/net/ip.ts";
import type { Origin, WhyContext } from "./context.ts";

/** The question itself cannot be understood. */
export class WhyQuestionError extends Error {
  override readonly name = "WhyQuestionError";
}

export interface Destination {
  /** As written, without the port. */
  readonly text: string;
  readonly port: number;
  readonly target:
    | { readonly kind: "ip"; readonly ip: IpAddress }
    | { readonly kind: "host"; readonly host: string }
    /** `namespace/name`, of a service or a pod. */
    | { readonly kind: "named"; readonly namespace: string; readonly name: string };
}

const QUALIFIED = /^([a-z0-9][a-z0-9-]*)\/([a-z0-9][a-z0-9.-]*)$/i;

export function parseDestination(text: string): Destination {
  const colon = text.lastIndexOf(":");
  const qualified = QUALIFIED.exec(text.slice(0, Math.max(0, colon)));
  const digits = text.slice(colon + 1);
  if (qualified !== null && /^\d{1,5}$/.test(digits) && Number(digits) <= 65535) {
    const [asked, namespace = "", name = ""] = qualified;
    return { text: asked, port: Number(digits), target: { kind: "named", namespace, name } };
  }
  const authority = parseAuthority(text);
  if (authority === undefined)
    throw new WhyQuestionError(
      `Cannot read the destination "${text}": expected <ip>:<port>, <host>:<port> or <namespace>/<service or pod>:<port>`,
    );
  if (authority.kind === "address") {
    const { ip, port } = authority.address;
    return { text: ip, port, target: { kind: "ip", ip } };
  }
  const { host, port } = authority;
  return { text: host, port, target: { kind: "host", host } };
}

/** The first address, IPv4 before IPv6. */
export function firstAddress(workload: Workload): IpAddress | undefined {
  return workload.addresses.find((ip) => familyOf(ip) === 4) ?? workload.addresses[0];
}

/** Pods by name, else by the name of their controller, in one namespace or all. */
export function workloadsNamed(
  { view }: Pick<WhyContext, "view">,
  name: string,
  namespace: string | undefined,
): Workload[] {
  const inReach = [...view.workloads()].filter(
    (workload) => namespace === undefined || workload.namespace === namespace,
  );
  const byName = inReach.filter((workload) => workload.name === name);
  const found = byName.length > 0 ? byName : inReach.filter((one) => one.workloadName === name);
  return found.toSorted((a, b) => (a.uid < b.uid ? -1 : 1));
}

export function findOrigin(context: WhyContext, text: string): Origin {
  const ip = parseIp(text);
  if (ip !== undefined) return originAt(context, ip);
  const slash = text.indexOf("/");
  const namespace = slash < 0 ? undefined : text.slice(0, slash);
  const found = workloadsNamed(context, text.slice(slash + 1), namespace);
  const namespaces = new Set(found.map((workload) => workload.namespace));
  if (namespaces.size > 1)
    throw new WhyQuestionError(
      `Cannot tell which "${text}" is meant: it is in the namespaces ${[...namespaces].join(", ")}; write <namespace>/${text}`,
    );
  const [workload] = found;
  if (workload === undefined)
    throw new WhyQuestionError(`Cannot find the source "${text}": no workload has this name`);
  const address = firstAddress(workload);
  if (address === undefined)
    throw new WhyQuestionError(`Cannot start at "${text}": the workload has no address`);
  return { workload, ip: address, network: context.network ?? workload.network };
}

/** Host-network pods share their node's address, so an address alone never means one of them. */
function originAt(context: WhyContext, ip: IpAddress): Origin {
  const network = context.network;
  const workload =
    network === undefined
      ? [...context.view.workloads()].find(
          (one) => one.networkMode === "Standard" && one.addresses.includes(ip),
        )
      : context.view.workloadByAddress(network, ip);
  return { workload, ip, network: network ?? workload?.network ?? "" };
}
