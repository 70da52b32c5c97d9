/** A record in words, one fact a line, in the manner of the ztunnel's. */
import type { WaypointOutcome, WaypointQuestion, WaypointVerdict } from "./record.ts";

const WIDTH = 9;
const MAX_ENDPOINTS = 8;
const MAX_PASSED_OVER = 8;

function line(label: string, text: string): string {
  return `${label.padEnd(WIDTH)}${text}`;
}

function lines(label: string, texts: readonly string[]): string[] {
  return texts.map((text, index) => line(index === 0 ? label : "", text));
}

function share(of: number): string {
  return of === 1 ? "" : ` (about ${Math.max(1, Math.round(of * 100))} %)`;
}

function endpointText({ address, healthy }: { address: string; healthy: boolean }): string {
  return healthy ? address : `${address} (not healthy)`;
}

function outcomeLines(outcome: WaypointOutcome): string[] {
  const { route, cluster, endpoints, decisions } = outcome;
  const made = lines("filters", decisions);
  if (route !== null) {
    const origin = route.origin === null ? "" : `, from ${route.origin}`;
    const name = route.name === "" ? "one" : route.name;
    made.push(line("route", `${name} of ${route.virtualHost}: ${route.reason}${origin}`));
    const told = route.passedOver.slice(0, MAX_PASSED_OVER);
    if (told.length > 0) {
      const more = route.passedOver.length - told.length;
      made.push(line("", `passed over: ${told.join(", ")}${more > 0 ? ` and ${more} more` : ""}`));
    }
  }
  if (cluster !== null) made.push(line("cluster", cluster));
  if (endpoints !== null && endpoints.length > 0) {
    const told = endpoints.slice(0, MAX_ENDPOINTS).map(endpointText);
    const more = endpoints.length - told.length;
    made.push(line("", `one of ${told.join(", ")}${more > 0 ? ` and ${more} more` : ""}`));
  }
  made.push(line("so", `${outcome.verdict}${share(outcome.share)}: ${outcome.because}`));
  return made;
}

export function waypointText(
  { to, identity, request }: WaypointQuestion,
  chain: string | null,
  outcomes: readonly WaypointOutcome[],
  verdict: WaypointVerdict,
  because: string,
): string[] {
  const headers = request?.headers.map(([name, value]) => `${name}: ${value}`) ?? [];
  return [
    line("tunnel", `CONNECT ${to}, identity ${identity ?? "none"}`),
    ...(request === undefined
      ? []
      : lines("request", [`${request.method} ${request.path}, host ${request.host}`, ...headers])),
    line("chain", chain ?? "none"),
    ...outcomes.flatMap((outcome, index) => [
      ...(index === 0 ? [] : [""]),
      ...outcomeLines(outcome),
    ]),
    ...(outcomes.length === 1 ? [] : [line("verdict", `${verdict}: ${because}`)]),
  ];
}
