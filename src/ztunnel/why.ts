/**
 * Why a connection from here to there gets through or does not. Pure: the state and the question in, one record out. The
 * admin port asks it of the live state, `ambit why` of objects in files; both decide by the functions of the data path.
 */
import { formatSpiffe } from "../shared/identity/spiffe.ts";
import { identityOf } from "../shared/model/store-workloads.ts";
import type { SocketAddress } from "../shared/net/authority.ts";
import { findAddresses } from "./why/addresses.ts";
import { inMesh, type Origin, type WhyContext, workloadLabel } from "./why/context.ts";
import { findOrigin, parseDestination } from "./why/find.ts";
import { followAll } from "./why/follow.ts";
import type { WhyPath, WhyRecord, WhySource } from "./why/record.ts";
import { whyText } from "./why/text.ts";

export interface WhyQuestion {
  /** A pod, `namespace/pod` or an address. */
  readonly from: string;
  /** An address, a hostname or `namespace/service`, with a port behind a colon. */
  readonly to: string;
}

/** Throws WhyQuestionError when the question names nothing that exists or cannot be read. */
export function explainConnection(context: WhyContext, question: WhyQuestion): WhyRecord {
  const origin = findOrigin(context, question.from);
  const destination = parseDestination(question.to);
  const here: WhyContext = { ...context, network: origin.network };
  const common = { ...question, source: sourceOf(origin) };
  const found = findAddresses(here, origin, destination);
  if (found.kind === "none") {
    const { verdict, because, name } = found;
    return withText({ ...common, verdict, because, name, paths: [], notes: [] });
  }
  const destinations = found.addresses.map((ip) => ({ ip, port: destination.port }));
  const paths = destinations.flatMap((one) => followAll(here, origin, one));
  return withText({
    ...common,
    ...summary(paths),
    name: found.name,
    paths,
    notes: notesOf(here, origin, destinations, paths),
  });
}

function withText(record: Omit<WhyRecord, "text">): WhyRecord {
  return { ...record, text: whyText(record) };
}

function sourceOf({ workload, ip }: Origin): WhySource {
  const meshed = inMesh(workload);
  return {
    workload: workload === undefined ? null : workloadLabel(workload),
    node: workload === undefined || workload.node === "" ? null : workload.node,
    address: ip,
    inMesh: meshed,
    identity: meshed ? formatSpiffe(identityOf(workload)) : null,
    identityFrom: meshed
      ? "its service account; its ztunnel proves it with a certificate"
      : "it is not in the mesh, so its connections arrive in plaintext",
  };
}

function summary(paths: readonly WhyPath[]): Pick<WhyRecord, "verdict" | "because"> {
  const [first] = paths;
  if (first === undefined) return { verdict: "unreachable", because: "there is no way there" };
  if (paths.every((path) => path.verdict === first.verdict))
    return { verdict: first.verdict, because: becauseOf(paths) };
  const counts = new Map<string, number>();
  for (const { verdict } of paths) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  const parts = [...counts].map(([verdict, count]) => `${verdict} by ${count}`);
  return { verdict: "mixed", because: `of ${paths.length} paths, ${parts.join(", ")}` };
}

function becauseOf(paths: readonly WhyPath[]): string {
  return [...new Set(paths.map((path) => path.because))].slice(0, 3).join("; ");
}

/** What the decisions themselves do not say: the ports a service has, and what a better informed source knows of the far end. */
function notesOf(
  { view, network = "", remarks, caveat }: WhyContext,
  { workload }: Origin,
  destinations: readonly SocketAddress[],
  paths: readonly WhyPath[],
): string[] {
  const notes = new Set<string>();
  for (const { ip, port } of destinations) {
    const service = view.serviceByVip(network, ip, { clientNamespace: workload?.namespace });
    if (service === undefined || service.ports.some((one) => one.servicePort === port)) continue;
    const ports = service.ports.map((one) => one.servicePort).join(", ");
    notes.add(
      `the service ${service.namespace}/${service.name} has no port ${port}, only ${ports === "" ? "none" : ports}`,
    );
  }
  const ends = new Set(paths.flatMap(({ hops }) => hops.flatMap(({ toUid }) => toUid ?? [])));
  for (const uid of ends) {
    const end = view.workloadByUid(uid);
    for (const remark of (end && remarks?.(end)) ?? []) notes.add(remark);
  }
  if (caveat !== undefined) notes.add(caveat);
  return [...notes];
}
