/** Parts that several resources share, and the one way to refuse a field. */
import type { GatewayAddress, NetworkAddress, ServicePort } from "../model/workload.ts";
import { type Cidr, cidrOf } from "../net/cidr.ts";
import { familyOf, type IpAddress, ipFromBytes } from "../net/ip.ts";
import {
  AppProtocol,
  type GatewayAddress as WireGatewayAddress,
  type Port as WirePort,
} from "../wire/gen/istio/workload/workload_pb.js";

/** Something in a resource that this program does not accept; the resource as a whole is refused. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  /** Where, in the wire's field names: `workload.addresses[0]`. */
  readonly path: string;

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`${path}: ${problem}`, options);
    this.path = path;
  }
}

export function decodeIp(bytes: Uint8Array, path: string): IpAddress {
  const ip = ipFromBytes(bytes);
  if (ip === undefined) throw new DecodeError(path, `${bytes.length} bytes long, want 4 or 16`);
  return ip;
}

/** Undefined when the length does not fit; v4-mapped prefixes become IPv4 ones. */
export function prefixOf(bytes: Uint8Array, length: number): Cidr | undefined {
  const ip = ipFromBytes(bytes);
  if (ip === undefined) return undefined;
  const folded = bytes.length === 16 && familyOf(ip) === 4;
  return cidrOf(ip, folded ? length - 96 : length);
}

/** The reference cuts ports to 16 bits. */
export function decodePort(port: number): number {
  return port & 0xffff;
}

/** Looks an enum number up; a number that we do not know changes the meaning, so it is refused. */
export function decodeEnum<T>(
  names: Readonly<Record<number, T>>,
  value: number,
  path: string,
): NonNullable<T> {
  const name = names[value];
  if (name === undefined || name === null) throw new DecodeError(path, `unknown value ${value}`);
  return name;
}

export function decodeGateway(gateway: WireGatewayAddress, path: string): GatewayAddress {
  const hboneMtlsPort = decodePort(gateway.hboneMtlsPort);
  const { destination } = gateway;
  switch (destination.case) {
    case "hostname": {
      const { namespace, hostname } = destination.value;
      return { destination: { kind: "hostname", namespace, hostname }, hboneMtlsPort };
    }
    case "address": {
      const address: NetworkAddress = {
        network: destination.value.network,
        ip: decodeIp(destination.value.address, `${path}.address`),
      };
      return { destination: { kind: "address", address }, hboneMtlsPort };
    }
    case undefined:
      throw new DecodeError(path, "has no destination");
  }
}

const appProtocols: Readonly<Record<number, ServicePort["appProtocol"]>> = {
  [AppProtocol.UNKNOWN]: "UNKNOWN",
  [AppProtocol.HTTP11]: "HTTP11",
  [AppProtocol.HTTP2]: "HTTP2",
  [AppProtocol.GRPC]: "GRPC",
  [AppProtocol.TCP]: "TCP",
  [AppProtocol.TLS]: "TLS",
};

/** The application protocol decides nothing here, so an unknown one is no reason to refuse. */
export function decodeServicePort(port: WirePort): ServicePort {
  return {
    servicePort: decodePort(port.servicePort),
    targetPort: decodePort(port.targetPort),
    appProtocol: appProtocols[port.appProtocol] ?? "UNKNOWN",
  };
}
