/** All names of a certificate that TLS peers are known by, not only the URIs of the mesh. */
import { ipFromBytes } from "../net/ip.ts";
import { children, content, type DerValue, decode, isContext } from "./der.ts";
import { certificateExtensions, generalName, oid } from "./x509.ts";

export interface PeerName {
  readonly type: "dns" | "uri" | "ip" | "email";
  readonly value: string;
}

/** rfc822Name of GeneralName. */
const emailTag = 1;

/** The subjectAltName extension's names; those that cannot be text of their kind are left out, as nothing can match them. */
export function peerNames(der: Uint8Array): readonly PeerName[] {
  const [body] = children(decode(der));
  const extension = certificateExtensions(children(body)).get(oid.subjectAltName);
  if (extension === undefined) return [];
  return children(decode(extension.value))
    .map(nameOf)
    .filter((name) => name !== undefined);
}

function nameOf(name: DerValue): PeerName | undefined {
  const bytes = content(name);
  if (isContext(name, generalName.ip)) {
    const value = ipFromBytes(bytes);
    return value === undefined ? undefined : { type: "ip", value };
  }
  if (bytes.some((byte) => byte < 0x21 || byte > 0x7e)) return undefined;
  const value = bytes.toString("latin1");
  if (isContext(name, generalName.dns)) return { type: "dns", value };
  if (isContext(name, generalName.uri)) return { type: "uri", value };
  return isContext(name, emailTag) ? { type: "email", value } : undefined;
}
