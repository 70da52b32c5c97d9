/** Asks the pod's DNS proxy from inside the process: the same answers, log lines and metrics as for the pod's own queries. */
import { familyOf, type IpAddress, type IpFamily, ipFromBytes } from "../../shared/net/ip.ts";
import { flag, HEADER_BYTES, rcode, readQuestions, readRecord, recordType } from "./message.ts";
import type { DnsProtocol } from "./metrics.ts";
import { type DnsName, NameWriter } from "./name.ts";

/** Takes a packet as from the pod. Undefined: no answer. */
export type AskDns = (packet: Uint8Array, protocol: DnsProtocol) => Promise<Uint8Array | undefined>;

const CLASS_IN = 1;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;

/** Undefined for text that is no name. */
export function nameOf(hostname: string): DnsName | undefined {
  const labels = hostname.replace(/\.$/, "").split(".");
  const bytes = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  const sound = labels.every((label) => label.length > 0 && label.length <= MAX_LABEL_BYTES);
  return sound && bytes <= MAX_NAME_BYTES ? labels : undefined;
}

export function encodeQuery(name: DnsName, family: IpFamily, id: number): Uint8Array {
  const packet = Buffer.alloc(HEADER_BYTES + MAX_NAME_BYTES + 4);
  packet.writeUInt16BE(id, 0);
  packet.writeUInt16BE(flag.recursionDesired, 2);
  packet.writeUInt16BE(1, 4);
  let at = new NameWriter(packet).write(name, HEADER_BYTES);
  at = packet.writeUInt16BE(family === 4 ? recordType.a : recordType.aaaa, at);
  at = packet.writeUInt16BE(CLASS_IN, at);
  return packet.subarray(0, at);
}

export interface AddressAnswer {
  readonly addresses: readonly IpAddress[];
  readonly truncated: boolean;
}

/** The address records of an answer, whoever owns them: the resolver has followed the aliases. Undefined: broken or failed. */
export function decodeAddresses(packet: Uint8Array): AddressAnswer | undefined {
  const read = readQuestions(packet);
  if (read === undefined) return undefined;
  const header = Buffer.from(packet.buffer, packet.byteOffset, HEADER_BYTES);
  const flags = header.readUInt16BE(2);
  if ((flags & flag.response) === 0 || (flags & flag.rcode) !== rcode.noError) return undefined;
  const addresses = readAddresses(packet, read.end, header.readUInt16BE(6));
  return addresses && { addresses, truncated: (flags & flag.truncated) !== 0 };
}

const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [recordType.a, 4],
  [recordType.aaaa, 16],
]);

function readAddresses(packet: Uint8Array, start: number, count: number): IpAddress[] | undefined {
  const addresses: IpAddress[] = [];
  let at = start;
  for (let left = count; left > 0; left--) {
    const record = readRecord(packet, at);
    if (record === undefined) return undefined;
    at = record.end;
    if (record.class !== CLASS_IN || ADDRESS_BYTES.get(record.type) !== record.data.length)
      continue;
    const ip = ipFromBytes(record.data);
    if (ip !== undefined) addresses.push(ip);
  }
  return addresses;
}

/** Addresses of a name, the first family before the second; empty when there are none. */
export async function lookup(
  ask: AskDns,
  hostname: string,
  families: readonly IpFamily[],
): Promise<readonly IpAddress[]> {
  const name = nameOf(hostname);
  if (name === undefined) return [];
  const answers = await Promise.all(families.map((family) => lookupFamily(ask, name, family)));
  return answers.flat();
}

/** The process is no network: nobody can forge an answer, so the id need not be a secret. */
const ID = 0;

async function lookupFamily(
  ask: AskDns,
  name: DnsName,
  family: IpFamily,
): Promise<readonly IpAddress[]> {
  const query = encodeQuery(name, family, ID);
  let answer = await answerTo(ask, query, "udp");
  if (answer?.truncated) answer = (await answerTo(ask, query, "tcp")) ?? answer;
  return answer?.addresses.filter((ip) => familyOf(ip) === family) ?? [];
}

async function answerTo(
  ask: AskDns,
  query: Uint8Array,
  protocol: DnsProtocol,
): Promise<AddressAnswer | undefined> {
  const packet = await ask(query, protocol);
  return packet && decodeAddresses(packet);
}
