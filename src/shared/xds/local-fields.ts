/** Values of a static configuration that are written as text: addresses, prefixes, keys and port maps. */
import type { GatewayAddress, NetworkAddress, PortMap, ServiceKey } from "../model/workload.ts";
import { parseCidr } from "../net/cidr.ts";
import { parseIp } from "../net/ip.ts";
import { integer, object, record, required, type Schema, string } from "../objects/schema.ts";

/** A schema whose value is made from another one's; undefined from `make` refuses it. */
export function made<T, U>(
  schema: Schema<T>,
  what: string,
  make: (value: T) => U | undefined,
): Schema<U> {
  return {
    decode: (value, path, problems) => {
      const decoded = schema.decode(value, path, problems);
      if (decoded === undefined) return undefined;
      const result = make(decoded);
      if (result === undefined)
        problems.push({ path, reason: `must be ${what}, found ${JSON.stringify(value)}` });
      return result;
    },
  };
}

export const ip = made(string, "an IP address", parseIp);
export const cidr = made(string, "an address prefix", parseCidr);
export const uint16 = integer(0, 65535);

/** Cut at the first slash. */
function halves(text: string): [string, string] | undefined {
  const slash = text.indexOf("/");
  return slash < 0 ? undefined : [text.slice(0, slash), text.slice(slash + 1)];
}

export const networkAddress = made(string, "network/ip", (text): NetworkAddress | undefined => {
  const [network = "", address = ""] = halves(text) ?? [];
  const parsed = parseIp(address);
  return parsed && { network, ip: parsed };
});

export function isServiceKey(text: string): text is ServiceKey {
  return halves(text) !== undefined;
}

const destination = made(
  string,
  "network/ip or namespace/hostname",
  (text): GatewayAddress["destination"] | undefined => {
    const parts = halves(text);
    if (parts === undefined || parts[1] === "") return undefined;
    const address = parseIp(parts[1]);
    return address === undefined
      ? { kind: "hostname", namespace: parts[0], hostname: parts[1] }
      : { kind: "address", address: { network: parts[0], ip: address } };
  },
);

export const gatewayFields = {
  destination: required(destination),
  hboneMtlsPort: required(uint16),
} as const;
export const gateway: Schema<GatewayAddress> = object(gatewayFields);

/** Port to port, as a map with the ports for keys. */
export const portMap = made(
  record(uint16),
  "a map from port to port",
  (ports): PortMap | undefined => {
    const entries = Object.entries(ports).map(([port, target]): [number, number] => [
      Number(port),
      target,
    ]);
    const sound = entries.every(([port]) => Number.isInteger(port) && port >= 0 && port <= 65535);
    return sound ? new Map(entries) : undefined;
  },
);
