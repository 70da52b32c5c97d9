/** A record in words, one fact a line; the words of decisions are those of the log. */
import type { WhyArrival, WhyHop, WhyPath, WhyRecord, WhySource, WhyVerdict } from "./record.ts";

/** Paths told in full; of more, only their verdicts. */
const MAX_TOLD = 4;
const MAX_LISTED = 16;

const INDENT = "         ";

function line(label: string, text: string): string {
  return `${label.padEnd(INDENT.length)}${text}`;
}

function sourceLines(from: string, source: WhySource | null): string[] {
  if (source === null) return [line("from", from)];
  const { workload, address, node, inMesh, identity, identityFrom } = source;
  const where = node === null ? "" : `, node ${node}`;
  const who = workload === null ? `${address}, which no workload has` : `${workload} (${address}`;
  const mesh = inMesh ? "in the mesh" : "not in the mesh";
  return [
    line("from", workload === null ? who : `${who}${where}), ${mesh}`),
    line("", identity === null ? `no identity: ${identityFrom}` : `${identity} (${identityFrom})`),
  ];
}

function hopLines(hop: WhyHop): string[] {
  const lines = [line("route", `${hop.from}: ${hop.reason}`)];
  if (hop.passedOver.length > 0) lines.push(line("", `passed over: ${hop.passedOver.join(", ")}`));
  if (hop.nextHop !== null) {
    const authority = hop.authority === null ? "" : `, CONNECT ${hop.authority}`;
    const to = hop.to === null ? "" : ` (${hop.to})`;
    lines.push(line("", `${hop.carrier} to ${hop.nextHop}${to}${authority}`));
  }
  if (hop.expects.length > 0)
    lines.push(line("", `who is there must show ${hop.expects.join(" or ")}`));
  if (hop.arrival !== null) lines.push(...arrivalLines(hop.arrival));
  return lines;
}

function arrivalLines(arrival: WhyArrival): string[] {
  const first = line("there", arrival.text);
  switch (arrival.kind) {
    case "unjudged":
      return [first, ...arrival.warnings.map((warning) => line("", warning))];
    case "refused":
      return [first];
    case "judged": {
      const { clientAddress, clientIdentity, clientIdentityFrom, decision } = arrival;
      const { looked, dryRun } = decision;
      return [
        first,
        line(
          "",
          `the client is ${clientAddress}, identity ${clientIdentity ?? "none"} (${clientIdentityFrom})`,
        ),
        ...(looked.length === 0 ? [line("policies", "none concerns it")] : []),
        ...looked.map((text, index) => line(index === 0 ? "policies" : "", text)),
        ...dryRun.map((text) => line("", text)),
      ];
    }
  }
}

function endOf(path: WhyPath): string {
  const last = path.hops.at(-1);
  return last?.to ?? last?.nextHop ?? "nowhere";
}

function pathLines(path: WhyPath): string[] {
  const { hops } = path;
  const last = hops.at(-1)?.arrival;
  const changes = last?.kind === "judged" ? last.decision.wouldChange : [];
  return [
    ...hops.flatMap(hopLines),
    line("so", `${path.verdict}: ${path.because}`),
    ...changes.map((text, index) => line(index === 0 ? "unless" : "", text)),
  ];
}

function pathsText(paths: readonly WhyPath[]): string[] {
  const [only] = paths;
  if (only === undefined) return [];
  if (paths.length === 1) return pathLines(only);
  const told: WhyPath[] = [];
  for (const path of paths) {
    const known = told.some((one) => one.verdict === path.verdict && one.because === path.because);
    if (!known && told.length < MAX_TOLD) told.push(path);
  }
  return [
    line("paths", `${paths.length}, one for each address and endpoint that may be taken`),
    ...paths
      .slice(0, MAX_LISTED)
      .map((path) => line("", `${endOf(path)}: ${path.verdict}: ${path.because}`)),
    ...(paths.length > MAX_LISTED ? [line("", `and ${paths.length - MAX_LISTED} more`)] : []),
    ...told.flatMap((path) => ["", line("path", `to ${endOf(path)}`), ...pathLines(path)]),
    "",
  ];
}

const SHOUT: Readonly<Record<WhyVerdict, string>> = {
  allowed: "ALLOWED",
  denied: "DENIED",
  unreachable: "UNREACHABLE",
  mixed: "IT DEPENDS",
  undecided: "UNDECIDED",
};

export function whyText(record: Omit<WhyRecord, "text">): string[] {
  return [
    ...sourceLines(record.from, record.source),
    line("to", record.to),
    ...(record.name === null ? [] : [line("name", `${record.name.name}: ${record.name.text}`)]),
    ...pathsText(record.paths),
    ...record.notes.map((note) => line("note", note)),
    line("verdict", `${SHOUT[record.verdict]}: ${record.because}`),
  ];
}
