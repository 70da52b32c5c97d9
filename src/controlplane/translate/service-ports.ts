/** Application protocols from port names and the `appProtocol` field, in the reference's reading. */
import type { AppProtocol } from "../../shared/model/workload.ts";

const PROTOCOLS: Readonly<Record<string, AppProtocol>> = {
  tcp: "TCP",
  grpc: "GRPC",
  http: "HTTP11",
  http2: "HTTP2",
  https: "TLS",
  tls: "TLS",
};

/** Known to the reference but not told apart on this wire; still not "unsupported". */
const UNNAMED = new Set(["udp", "grpc-web", "http_proxy", "mongo", "redis", "mysql"]);

/** `appProtocol` values that Kubernetes itself defines. */
const KUBERNETES_PROTOCOLS: Readonly<Record<string, AppProtocol>> = {
  "kubernetes.io/h2c": "HTTP2",
  "kubernetes.io/ws": "HTTP11",
  "kubernetes.io/wss": "TLS",
};

/** Server-first or not worth sniffing: TCP when nothing else is said (SMTP, DNS, MySQL, MongoDB). */
const TCP_PORTS = new Set([25, 53, 3306, 27017]);

export function parseProtocol(text: string): AppProtocol {
  return lookUp(PROTOCOLS, text.toLowerCase()) ?? "UNKNOWN";
}

export function servicePortProtocol(port: {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}): AppProtocol {
  if (port.protocol === "UDP") return "UNKNOWN";
  if (port.appProtocol !== undefined) {
    const known = lookUp(KUBERNETES_PROTOCOLS, port.appProtocol);
    if (known !== undefined) return known;
  }
  const name = (port.appProtocol ?? port.name).toLowerCase();
  if (name.startsWith("grpc-web")) return "UNKNOWN";
  const [prefix = ""] = name.split("-", 1);
  const known = lookUp(PROTOCOLS, prefix);
  if (known !== undefined) return known;
  return TCP_PORTS.has(port.port) && !UNNAMED.has(prefix) ? "TCP" : "UNKNOWN";
}

function lookUp(
  table: Readonly<Record<string, AppProtocol>>,
  key: string,
): AppProtocol | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
