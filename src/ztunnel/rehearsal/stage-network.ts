/** The network of a rehearsal: the process's own loopback, on ports that the kernel chooses, under the names of the stage. */
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import { type IpAddress, ipOf } from "../../shared/net/ip.ts";
import type {
  DialTcpOptions,
  ListenTcpOptions,
  PodNetwork,
  TcpListener,
} from "../../shared/os/network.ts";

const loopback = ipOf("127.0.0.1");

/** Where the addresses of the stage really are. */
export type Doors = Map<string, number>;

export interface StageOptions {
  readonly ip: IpAddress;
  /** Whom accepted connections come from. */
  readonly peerIp: IpAddress;
  /** Where captured connections were going. */
  readonly captured: SocketAddress;
  readonly doors: Doors;
}

export function stageNetwork(base: PodNetwork, stage: StageOptions): PodNetwork {
  const { ip, peerIp, captured, doors } = stage;
  const listen = async (
    { port, ...options }: ListenTcpOptions,
    begin: (options: ListenTcpOptions) => Promise<TcpListener>,
  ): Promise<TcpListener> => {
    const open = { reusePort: false, transparent: "never", ip: loopback, port: 0 } as const;
    const listener = await begin({ ...options, ...open });
    doors.set(formatSocketAddress({ ip, port }), listener.port);
    return listener;
  };
  const really = (options: DialTcpOptions): DialTcpOptions => {
    const port = doors.get(formatSocketAddress(options.destination)) ?? 0;
    return { ...options, destination: { ip: loopback, port } };
  };
  // The real ones are asked too: their code is to be rehearsed with the rest.
  const at = (there: IpAddress, real: SocketAddress | undefined): SocketAddress | undefined =>
    real && { ip: there, port: real.port };
  return {
    ...base,
    listenTcp: (options, onSocket) => listen(options, (opened) => base.listenTcp(opened, onSocket)),
    acceptTcp: (options, onConnection) =>
      listen(options, (opened) => base.acceptTcp(opened, onConnection)),
    dialTcp: (options) => base.dialTcp(really(options)),
    connectTcp: (options) => base.connectTcp(really(options)),
    originalDestination: (connection) => base.originalDestination(connection) && captured,
    localAddress: (connection) => at(ip, base.localAddress(connection)),
    peerAddress: (connection) => at(peerIp, base.peerAddress(connection)),
  };
}
