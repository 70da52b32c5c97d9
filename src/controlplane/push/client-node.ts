/** Who a client says it is, in the first request of its stream (wire/ztunnel.md section 1.2). */
import { parseIp } from "../../shared/net/ip.ts";
import type { Node } from "../../shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";

export type ClientKind = "ztunnel" | "waypoint" | "router" | "agentgateway";

export interface ClientNode {
  readonly id: string;
  readonly kind: ClientKind;
  readonly namespace: string;
  /** Node that the client runs on; "" when it does not say. */
  readonly nodeName: string;
  readonly serviceAccount: string;
}

const KINDS: readonly ClientKind[] = ["ztunnel", "waypoint", "router", "agentgateway"];

/** A reason, as text, when the node is not one we serve. */
export function parseClientNode(node: Node | undefined): ClientNode | string {
  if (node === undefined || node.id === "") return "missing node information";
  const parts = node.id.split("~");
  const [kindText, ip = "", name = ""] = parts;
  const kind = KINDS.find((candidate) => candidate === kindText);
  if (parts.length !== 4 || kind === undefined)
    return `unexpected node id ${JSON.stringify(node.id)}`;
  if (parseIp(ip) === undefined) return `unexpected node id ${JSON.stringify(node.id)}: no address`;
  const metadata = (key: string): string => {
    const value = node.metadata?.[key];
    return typeof value === "string" ? value : "";
  };
  return {
    id: node.id,
    kind,
    namespace: metadata("NAMESPACE") || name.slice(name.lastIndexOf(".") + 1),
    nodeName: metadata("NODE_NAME"),
    serviceAccount: metadata("SERVICE_ACCOUNT"),
  };
}
