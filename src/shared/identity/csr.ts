/** Certificate signing requests (PKCS #10), made for one SPIFFE identity and read with proof of possession. */
import { createPublicKey, generateKeyPair, type KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import * as der from "./der.ts";
import { pemBlocks, toPem } from "./pem.ts";
import { signatureDigests } from "./signature.ts";
import { formatSpiffe, type SpiffeIdentity } from "./spiffe.ts";
import { generalName, oid, readExtensions, readUriSans } from "./x509.ts";

const generateKeys = promisify(generateKeyPair);

export interface SigningRequest {
  readonly csrPem: string;
  readonly privateKey: KeyObject;
}

function extensionsFor(uri: string): der.DerValue {
  const names = der.sequence(der.taggedBytes(generalName.uri, Buffer.from(uri, "ascii")));
  // The subject is empty, so the name must be critical (RFC 5280 section 4.2.1.6).
  return der.sequence(
    der.sequence(
      der.objectId(oid.subjectAltName),
      der.boolean(true),
      der.octetString(der.encode(names)),
    ),
  );
}

/** A new P-256 key and a request for this identity: empty subject, one critical URI name, SHA-256. */
export async function createSigningRequest(identity: SpiffeIdentity): Promise<SigningRequest> {
  const { publicKey, privateKey } = await generateKeys("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const body = der.sequence(
    der.unsignedInteger(Buffer.from([0])),
    der.sequence(),
    der.raw(spki),
    der.tagged(
      0,
      der.sequence(
        der.objectId(oid.extensionRequest),
        der.set(extensionsFor(formatSpiffe(identity))),
      ),
    ),
  );
  const signature = sign("sha256", der.encode(body), privateKey);
  const request = der.sequence(
    body,
    der.sequence(der.objectId(oid.ecdsaWithSha256)),
    der.bitString(signature),
  );
  return { csrPem: toPem("CERTIFICATE REQUEST", der.encode(request)), privateKey };
}

export interface ReadSigningRequest {
  readonly publicKey: KeyObject;
  /** Names that the request asks for. Only a hint: the caller's token decides. */
  readonly uriSans: readonly string[];
}

/** Curves and key sizes that a certificate may carry. */
function checkKey(key: KeyObject): void {
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ec":
      if (details.namedCurve === "prime256v1" || details.namedCurve === "secp384r1") return;
      break;
    case "rsa":
      if ((details.modulusLength ?? 0) >= 2048 && (details.modulusLength ?? 0) <= 8192) return;
      break;
    case "ed25519":
      return;
    default:
      break;
  }
  throw new RangeError(`a ${key.asymmetricKeyType ?? "strange"} key of this kind is not accepted`);
}

/** Reads a request and checks that its sender holds the private key. Throws with the reason otherwise. */
export function readSigningRequest(pem: string): ReadSigningRequest {
  const [bytes, more] = pemBlocks(pem, "CERTIFICATE REQUEST");
  if (bytes === undefined) throw new RangeError("no certificate request in PEM text");
  if (more !== undefined) throw new RangeError("more than one certificate request");
  const [body, algorithm, signature] = der.children(der.decode(bytes));
  const [, , spki, attributes] = der.children(body);
  if (body === undefined || spki === undefined) throw new RangeError("certificate request is cut");
  const publicKey = createPublicKey({ key: der.encode(spki), format: "der", type: "spki" });
  checkKey(publicKey);
  const algorithmId = der.oidText(der.children(algorithm)[0]);
  const digest = signatureDigests.get(algorithmId);
  if (digest === undefined) throw new RangeError(`unknown signature algorithm ${algorithmId}`);
  const [unusedBits, ...signatureBytes] = der.content(signature);
  const proven =
    unusedBits === 0 && verify(digest, der.encode(body), publicKey, Buffer.from(signatureBytes));
  if (!proven) throw new RangeError("signature of the certificate request does not fit its key");
  return { publicKey, uriSans: requestedNames(attributes) };
}

function requestedNames(attributes: der.DerValue | undefined): readonly string[] {
  if (!der.isContext(attributes, 0)) return [];
  for (const attribute of der.children(attributes)) {
    const [id, values] = der.children(attribute);
    if (der.oidText(id) !== oid.extensionRequest) continue;
    const extensions = readExtensions(der.children(values)[0]);
    return readUriSans(extensions.get(oid.subjectAltName));
  }
  return [];
}
