/** Operators about the stream and its connections. */
import { addressText } from "../cel/attributes.ts";
import type { StreamRecord } from "../record.ts";
import { longFlags, shortFlags } from "../response-flags.ts";
import { never, number, type OperatorMaker, type OperatorTable, text } from "./operator-kinds.ts";
import { defaultTime, timeFormatter } from "./strftime.ts";

/** Port and address of `ip:port`, `[ip]:port`; others, internal ones, have no parts. */
const ADDRESS = /^(?:\[([^\]]*)\]|([^:/]*)):(\d+)$/;

function withoutPort(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const found = ADDRESS.exec(address);
  return found === null ? address : (found[1] ?? found[2]);
}

function portOf(address: string | undefined): number | undefined {
  const port = address === undefined ? undefined : ADDRESS.exec(address)?.[3];
  return port === undefined ? undefined : Number(port);
}

const clientOf = ({ downstream }: StreamRecord): string => addressText(downstream.source);
const targetOf = ({ downstream }: StreamRecord): string => addressText(downstream.destination);
const localOf = ({ upstream }: StreamRecord): string | undefined => upstream?.localAddress;
const hostOf = ({ upstream }: StreamRecord): string | undefined =>
  upstream?.hostText ?? upstream?.address;

/** With port, without it, the port alone. */
function address(name: string, read: (record: StreamRecord) => string | undefined): OperatorTable {
  return {
    [`${name}_ADDRESS`]: text(read),
    [`${name}_ADDRESS_WITHOUT_PORT`]: text((record) => withoutPort(read(record))),
    [`${name}_PORT`]: number((record) => portOf(read(record))),
  };
}

/** Words of a reason would look like fields of the line. */
function joined(reason: string | undefined): string | undefined {
  return reason === undefined || reason === "" ? undefined : reason.replaceAll(/\s/g, "_");
}

const details: OperatorMaker = {
  argument: "optional",
  length: false,
  make: (argument) =>
    argument === "ALLOW_WHITESPACES"
      ? { text: (record) => record.details }
      : { text: (record) => joined(record.details) },
};

function time(read: (record: StreamRecord) => number): OperatorMaker {
  return {
    argument: "optional",
    length: false,
    make: (format) => {
      if (/%[-_0^#]*[1-9]*[EO]?n/.test(format)) throw new Error("a time has no line feed");
      const print = format === "" ? defaultTime : timeFormatter(format);
      return { text: (record) => print(read(record)) };
    },
  };
}

const moments: Readonly<Record<string, (record: StreamRecord) => number | undefined>> = {
  DS_RX_BEG: () => 0,
  DS_RX_END: ({ timing }) => timing?.requestEndMs,
  US_TX_BEG: ({ timing }) => timing?.upstreamFirstSentMs,
  US_TX_END: ({ timing }) => timing?.upstreamLastSentMs,
  US_RX_BEG: ({ timing }) => timing?.upstreamFirstReceivedMs,
  US_RX_END: ({ timing }) => timing?.upstreamLastReceivedMs,
  DS_TX_BEG: ({ timing }) => timing?.responseFirstSentMs,
  DS_TX_END: ({ timing }) => timing?.responseLastSentMs,
  US_CX_BEG: () => undefined,
  US_CX_END: () => undefined,
  US_HS_END: () => undefined,
};

const PER_MS: Readonly<Record<string, number>> = { ms: 1, us: 1e3, ns: 1e6 };

/** `START:END:ms`. */
const between: OperatorMaker = {
  argument: "required",
  length: false,
  make: (argument) => {
    const [from = "", to = "", unit = "ms", ...more] = argument.split(":");
    const perMs = Object.hasOwn(PER_MS, unit) ? PER_MS[unit] : undefined;
    if (to === "" || more.length > 0) throw new Error("expected START:END or START:END:PRECISION");
    if (perMs === undefined) throw new Error(`the precision is ms, us or ns, not "${unit}"`);
    // Names that nobody sets are possible, as in Envoy: such moments never come.
    const start = Object.hasOwn(moments, from) ? moments[from] : undefined;
    const end = Object.hasOwn(moments, to) ? moments[to] : undefined;
    const print = (record: StreamRecord): string | undefined => {
      const began = start?.(record);
      const ended = end?.(record);
      if (began === undefined || ended === undefined || ended < began) return undefined;
      return String(Math.trunc((ended - began) * perMs));
    };
    return { text: print, json: print };
  },
};

function difference(end: number | undefined, start: number | undefined): number | undefined {
  return end === undefined || start === undefined ? undefined : end - start;
}

export const streamOperators: OperatorTable = {
  START_TIME: time(({ startWallMs }) => startWallMs),
  START_TIME_LOCAL: time(({ startWallMs }) => startWallMs),
  EMIT_TIME: time(({ startWallMs, durationMs }) => startWallMs + durationMs),
  EMIT_TIME_LOCAL: time(({ startWallMs, durationMs }) => startWallMs + durationMs),
  DURATION: number(({ durationMs }) => durationMs),
  REQUEST_DURATION: number(({ timing }) => timing?.requestEndMs),
  REQUEST_TX_DURATION: number(({ timing }) => timing?.upstreamLastSentMs),
  RESPONSE_DURATION: number(({ timing }) => timing?.upstreamFirstReceivedMs),
  RESPONSE_TX_DURATION: number(({ timing }) =>
    difference(timing?.responseLastSentMs, timing?.upstreamFirstReceivedMs),
  ),
  COMMON_DURATION: between,
  DOWNSTREAM_HANDSHAKE_DURATION: number(() => undefined),
  ROUNDTRIP_DURATION: number(() => undefined),
  BYTES_RECEIVED: number(({ bytesReceived }) => bytesReceived),
  BYTES_SENT: number(({ bytesSent }) => bytesSent),
  BYTES_RETRANSMITTED: number(() => 0),
  PACKETS_RETRANSMITTED: number(() => 0),
  DOWNSTREAM_WIRE_BYTES_RECEIVED: number(({ wireBytesReceived }) => wireBytesReceived),
  DOWNSTREAM_WIRE_BYTES_SENT: number(({ wireBytesSent }) => wireBytesSent),
  DOWNSTREAM_HEADER_BYTES_RECEIVED: number((record) =>
    Math.max(0, record.wireBytesReceived - record.bytesReceived),
  ),
  DOWNSTREAM_HEADER_BYTES_SENT: number((record) =>
    Math.max(0, record.wireBytesSent - record.bytesSent),
  ),
  PROTOCOL: text(({ http }) => http?.protocol),
  UPSTREAM_PROTOCOL: text(({ upstream }) => upstream?.protocol),
  RESPONSE_FLAGS: text(({ flags }) => shortFlags(flags)),
  RESPONSE_FLAGS_LONG: text(({ flags }) => longFlags(flags)),
  RESPONSE_CODE_DETAILS: details,
  CONNECTION_TERMINATION_DETAILS: text((record) => record.connectionTerminationDetails),
  UPSTREAM_TRANSPORT_FAILURE_REASON: text(({ upstream }) => joined(upstream?.failureReason)),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: text(() => undefined),
  UPSTREAM_HOST: text(hostOf),
  UPSTREAM_HOST_NAME: text(hostOf),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: text((record) => withoutPort(hostOf(record))),
  UPSTREAM_CLUSTER: text(({ upstream }) => upstream?.statName ?? upstream?.cluster),
  UPSTREAM_CLUSTER_RAW: text(({ upstream }) => upstream?.cluster),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: number(({ upstream }) => upstream?.attempts ?? 0),
  UPSTREAM_CONNECTION_ID: number(() => 0),
  ...address("UPSTREAM_LOCAL", localOf),
  // Of a connection that was made: one that failed has none.
  ...address("UPSTREAM_REMOTE", ({ upstream }) =>
    upstream?.localAddress === undefined ? undefined : upstream.address,
  ),
  ...address("DOWNSTREAM_LOCAL", targetOf),
  ...address("DOWNSTREAM_DIRECT_LOCAL", targetOf),
  ...address("DOWNSTREAM_REMOTE", clientOf),
  ...address("DOWNSTREAM_DIRECT_REMOTE", clientOf),
  CONNECTION_ID: number(({ downstream }) => downstream.connectionId),
  REQUESTED_SERVER_NAME: {
    // Envoy's arguments choose between SNI and host; there is only one here that may be meant.
    argument: "none",
    length: false,
    make: () => ({ text: ({ downstream }) => downstream.requestedServerName || undefined }),
  },
  // The tunnel's identities: inside it there is no TLS of the mesh.
  DOWNSTREAM_PEER_URI_SAN: text(({ downstream }) => downstream.peerPrincipal),
  DOWNSTREAM_LOCAL_URI_SAN: text(({ downstream }) => downstream.localPrincipal),
  ROUTE_NAME: text(({ routeName }) => routeName || undefined),
  FILTER_CHAIN_NAME: text(({ chain }) => chain || undefined),
  VIRTUAL_CLUSTER_NAME: text(() => undefined),
  CUSTOM_FLAGS: text(() => ""),
  ...absent(),
};

/** Of TLS connections whose certificates are not kept. */
function absent(): OperatorTable {
  const names = ["PEER", "LOCAL"].flatMap((side) => [
    ...["DNS", "IP", "EMAIL", "OTHERNAME"].map((kind) => `DOWNSTREAM_${side}_${kind}_SAN`),
    ...["URI", "DNS", "IP"].map((kind) => `UPSTREAM_${side}_${kind}_SAN`),
    `DOWNSTREAM_${side}_SUBJECT`,
  ]);
  const others =
    "DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_VERSION DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_CERT_V_END UPSTREAM_TLS_CIPHER UPSTREAM_TLS_VERSION UPSTREAM_TLS_SESSION_ID UPSTREAM_PEER_ISSUER UPSTREAM_PEER_CERT UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_CERT_V_END TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT";
  return Object.fromEntries([...names, ...others.split(" ")].map((name) => [name, never]));
}
