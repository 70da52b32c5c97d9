/** The cluster's name server for pods outside the mesh: addresses of services, and nothing else exists. */
import { createSocket, type Socket } from "node:dgram";
import { ipOf, ipToBytes } from "../../shared/net/ip.ts";
import { ROOT_IP, type Topology } from "./topology.ts";

const HEADER_BYTES = 12;
const TYPE_A = 1;
const TTL_SECONDS = 5;
/** Response, recursion available; the question's own recursion bit is kept. */
const FLAGS_RESPONSE = 0x8080;
const RCODE_NXDOMAIN = 3;

interface Question {
  readonly name: string;
  readonly type: number;
  /** Where it ends in the message. */
  readonly end: number;
}

function readQuestion(query: Buffer): Question | undefined {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63) return undefined;
    at++;
    if (length === 0) break;
    labels.push(query.toString("latin1", at, at + length).toLowerCase());
    at += length;
  }
  if (query.length < at + 4) return undefined;
  return { name: labels.join("."), type: query.readUInt16BE(at), end: at + 4 };
}

/** The answer to a query, or undefined when it cannot be read. Pure. */
export function answerQuery(
  query: Buffer,
  addresses: ReadonlyMap<string, string>,
): Buffer | undefined {
  if (query.length < HEADER_BYTES) return undefined;
  const question = readQuestion(query);
  if (question === undefined) return undefined;
  const address = addresses.get(question.name);
  const records: Buffer[] = [];
  if (address !== undefined && question.type === TYPE_A) {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(TTL_SECONDS, 6);
    record.writeUInt16BE(4, 10);
    record.set(ipToBytes(ipOf(address)), 12);
    records.push(record);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  const code = address === undefined ? RCODE_NXDOMAIN : 0;
  header.writeUInt16BE((query.readUInt16BE(2) & 0x0100) | FLAGS_RESPONSE | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(HEADER_BYTES, question.end), ...records]);
}

/** Serves the services of a topology at the root's address. */
export async function startNameServer(topology: Topology): Promise<Socket> {
  const addresses = new Map(
    topology.services.map(({ name, namespace, clusterIp }) => [
      `${name}.${namespace}.svc.cluster.local`,
      clusterIp,
    ]),
  );
  const socket = createSocket("udp4");
  socket.on("message", (query, peer) => {
    const answer = answerQuery(query, addresses);
    if (answer !== undefined) socket.send(answer, peer.port, peer.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(53, ROOT_IP, resolve);
  });
  socket.unref();
  return socket;
}
