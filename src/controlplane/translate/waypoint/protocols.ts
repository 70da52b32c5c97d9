/** Application protocols of service ports, as finely as clusters and chains tell them apart. */

export type Protocol =
  | "HTTP"
  | "HTTP_PROXY"
  | "HTTP2"
  | "GRPC"
  | "GRPC-Web"
  | "HTTPS"
  | "TLS"
  | "TCP"
  | "Mongo"
  | "Redis"
  | "MySQL"
  | "UDP"
  | "Unsupported";

const NAMES: Readonly<Record<string, Protocol>> = {
  tcp: "TCP",
  udp: "UDP",
  grpc: "GRPC",
  "grpc-web": "GRPC-Web",
  http: "HTTP",
  http_proxy: "HTTP_PROXY",
  http2: "HTTP2",
  https: "HTTPS",
  tls: "TLS",
  mongo: "Mongo",
  redis: "Redis",
  mysql: "MySQL",
};

/** Values of `appProtocol` that Kubernetes itself defines. */
const KUBERNETES: Readonly<Record<string, Protocol>> = {
  "kubernetes.io/h2c": "HTTP2",
  "kubernetes.io/ws": "HTTP",
  "kubernetes.io/wss": "HTTPS",
};

/** Server-first or not worth sniffing: SMTP, DNS, MySQL, MongoDB. */
const TCP_PORTS: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

export function parseProtocolName(text: string): Protocol {
  const name = text.toLowerCase();
  return Object.hasOwn(NAMES, name) ? (NAMES[name] ?? "Unsupported") : "Unsupported";
}

export function protocolOfPort(port: {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}): Protocol {
  if (port.protocol === "UDP") return "UDP";
  if (port.appProtocol !== undefined && Object.hasOwn(KUBERNETES, port.appProtocol))
    return KUBERNETES[port.appProtocol] ?? "Unsupported";
  const name = (port.appProtocol ?? port.name).toLowerCase();
  if (name.startsWith("grpc-web")) return "GRPC-Web";
  const [prefix = ""] = name.split("-", 1);
  const found = parseProtocolName(prefix);
  return found === "Unsupported" && TCP_PORTS.has(port.port) ? "TCP" : found;
}

export function isHttp(protocol: Protocol): boolean {
  return (
    protocol === "HTTP" ||
    protocol === "HTTP2" ||
    protocol === "HTTP_PROXY" ||
    protocol === "GRPC" ||
    protocol === "GRPC-Web"
  );
}

export function isHttp2(protocol: Protocol): boolean {
  return protocol === "HTTP2" || protocol === "GRPC" || protocol === "GRPC-Web";
}

export function isTls(protocol: Protocol): boolean {
  return protocol === "HTTPS" || protocol === "TLS";
}

/** Everything that is a byte stream to the proxy. */
export function isTcp(protocol: Protocol): boolean {
  return !isHttp(protocol) && protocol !== "UDP" && protocol !== "Unsupported";
}

/** Neither said to be HTTP nor to be something else: the first bytes decide. */
export function isSniffed(protocol: Protocol): boolean {
  return protocol === "Unsupported";
}
