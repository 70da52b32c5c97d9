/** What the annotations of a pod say about its redirection. They end up in a script, so their values are checked here. */
import type { Labels } from "../../shared/model/enrollment.ts";
import type { RedirectionOptions } from "../redirect/rules.ts";

const BYPASS_INBOUND_ANNOTATION = "ambient.istio.io/bypass-inbound-capture";
const DNS_CAPTURE_ANNOTATION = "ambient.istio.io/dns-capture";
const VIRTUAL_INTERFACES_ANNOTATION = "istio.io/reroute-virtual-interfaces";

export interface RedirectionDefaults {
  readonly captureDns: boolean;
}

export type RedirectionChoice =
  | { readonly kind: "options"; readonly options: RedirectionOptions }
  /** Capturing the pod in another way than it asks for could cut it off, so it is not captured at all. */
  | { readonly kind: "invalid"; readonly reason: string };

/** Letters, digits and a few signs, at most 15 (IFNAMSIZ - 1): no quote, no space, no wildcard. */
const INTERFACE_NAME = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,14}$/;

export function redirectionChoice(
  annotations: Labels,
  defaults: RedirectionDefaults,
): RedirectionChoice {
  const problems: string[] = [];
  const flag = (name: string, fallback: boolean): boolean => {
    const text = annotations[name];
    if (text === undefined) return fallback;
    if (text !== "true" && text !== "false")
      problems.push(`${name}: must be "true" or "false", is ${JSON.stringify(text)}`);
    return text === "true";
  };
  const virtualInterfaces = (annotations[VIRTUAL_INTERFACES_ANNOTATION] ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  for (const name of virtualInterfaces) {
    if (!INTERFACE_NAME.test(name))
      problems.push(
        `${VIRTUAL_INTERFACES_ANNOTATION}: not an interface name: ${JSON.stringify(name)}`,
      );
  }
  const options = {
    captureDns: flag(DNS_CAPTURE_ANNOTATION, defaults.captureDns),
    captureInbound: !flag(BYPASS_INBOUND_ANNOTATION, false),
    virtualInterfaces,
  };
  return problems.length === 0
    ? { kind: "options", options }
    : { kind: "invalid", reason: problems.join("; ") };
}
