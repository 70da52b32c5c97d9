/**
 * What all connections of one certificate in one role share: keys, roots, and the TLS parameters of HBONE (identity/
 * tls-context.ts says which and why).
 */
import koffi from "koffi";
import { MeshError } from "../base/errors.ts";
import { type Address, openssl, takeError } from "./openssl.ts";
import { fullRecordWireBytes } from "./records.ts";

export interface TlsContextOptions {
  readonly role: "client" | "server";
  /** Leaf first, then intermediates. Nothing else is sent. */
  readonly chainPem: string;
  readonly keyPem: string;
  /** Each is an anchor, also one that is not self-signed. Never empty. */
  readonly rootPems: readonly string[];
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  readonly suites13: readonly string[];
  readonly suites12: readonly string[];
  /** Colon-separated, in order of preference. */
  readonly groups: string;
}

/** Seven full records read from the kernel at once; below the size from which malloc would map memory for each read. */
const readAheadBytes = 7 * fullRecordWireBytes + 128;

// ssl.h, x509_vfy.h, tls1.h
const control = {
  mode: 33,
  readAhead: 41,
  sessionCache: 44,
  chainCertificate: 89,
  groups: 92,
  minVersion: 123,
  maxVersion: 124,
} as const;
const version = { "TLSv1.2": 0x0303, "TLSv1.3": 0x0304 } as const;
/** Partial writes, from memory that may move; buffers are given back; nothing is added to the chain. */
const mode = 0x01 | 0x02 | 0x10 | 0x08;
/**
 * The end of the connection is an end also without a TLS alert: HTTP/2 knows by itself what is missing. Our preference of
 * suites, no renegotiation, no compression. No tickets: a resumed session would not verify the client's certificate again
 * (expired, revoked, other roots).
 */
const options = 2 ** 7 + 2 ** 14 + 2 ** 17 + 2 ** 22 + 2 ** 30;
const verifyPeer = 1;
const refuseWithoutCertificate = 2;
const partialChain = 0x80000;
const protocolChosen = 1;
const acknowledge = 0;
const fatalAlert = 2;

/** ALPN's list of protocols: each behind its length. */
const protocols = Buffer.from("\x02h2", "latin1");

const abandoned = new FinalizationRegistry<Address>((context) => openssl().SSL_CTX_free(context));

/** Lives as long as it is referred to; OpenSSL's own count keeps it for the connections made from it. */
export class TlsContext {
  readonly role: "client" | "server";
  readonly address: Address;

  /** Throws MeshError `tls-failed` that says what cannot be used. */
  constructor(options: TlsContextOptions) {
    this.role = options.role;
    const ssl = openssl();
    this.address = made("context", ssl.SSL_CTX_new(ssl.TLS_method()));
    abandoned.register(this, this.address);
    setParameters(this.address, options);
    setOwnCertificate(this.address, options);
    setTrust(this.address, options);
    setProtocol(this.address, options.role);
  }
}

function setParameters(context: Address, wanted: TlsContextOptions): void {
  const ssl = openssl();
  ssl.SSL_CTX_ctrl(context, control.minVersion, version[wanted.minVersion], 0);
  ssl.SSL_CTX_ctrl(context, control.maxVersion, version["TLSv1.3"], 0);
  ssl.SSL_CTX_set_options(context, options);
  ssl.SSL_CTX_ctrl(context, control.mode, mode, 0);
  ssl.SSL_CTX_ctrl(context, control.sessionCache, 0, 0);
  ssl.SSL_CTX_set_num_tickets(context, 0);
  ssl.SSL_CTX_ctrl(context, control.readAhead, 1, 0);
  ssl.SSL_CTX_set_default_read_buffer_len(context, readAheadBytes);
  const { suites13, suites12, groups } = wanted;
  made("suites", ssl.SSL_CTX_set_ciphersuites(context, suites13.join(":")));
  if (suites12.length > 0)
    made("TLS 1.2 suites", ssl.SSL_CTX_set_cipher_list(context, suites12.join(":")));
  made(`groups ${groups}`, ssl.setText(context, control.groups, 0, groups));
}

function setOwnCertificate(context: Address, { chainPem, keyPem }: TlsContextOptions): void {
  const ssl = openssl();
  const [leaf, ...intermediates] = readCertificates(chainPem);
  try {
    made("certificate", ssl.SSL_CTX_use_certificate(context, leaf ?? 0));
    for (const intermediate of intermediates)
      made("intermediate", ssl.SSL_CTX_ctrl(context, control.chainCertificate, 1, intermediate));
  } finally {
    for (const certificate of [leaf, ...intermediates]) ssl.X509_free(certificate ?? 0);
  }
  const key = withBio("private key", keyPem, (bio) =>
    ssl.PEM_read_bio_PrivateKey(bio, null, null, null),
  );
  try {
    made("private key", ssl.SSL_CTX_use_PrivateKey(context, key));
    made("private key of another certificate", ssl.SSL_CTX_check_private_key(context));
  } finally {
    ssl.EVP_PKEY_free(key);
  }
}

function setTrust(context: Address, { role, rootPems }: TlsContextOptions): void {
  if (rootPems.length === 0)
    throw new MeshError("tls-failed", "tls error: no root certificate to trust");
  const ssl = openssl();
  const store = ssl.SSL_CTX_get_cert_store(context);
  for (const root of rootPems.flatMap(readCertificates)) {
    try {
      made("root certificate", ssl.X509_STORE_add_cert(store, root));
      if (role === "server") made("root's name", ssl.SSL_CTX_add_client_CA(context, root));
    } finally {
      ssl.X509_free(root);
    }
  }
  ssl.X509_VERIFY_PARAM_set_flags(ssl.SSL_CTX_get0_param(context), partialChain);
  const demand = role === "server" ? verifyPeer | refuseWithoutCertificate : verifyPeer;
  ssl.SSL_CTX_set_verify(context, demand, null);
}

function setProtocol(context: Address, role: "client" | "server"): void {
  const ssl = openssl();
  if (role === "server") ssl.SSL_CTX_set_alpn_select_cb(context, protocolSelector(), null);
  // The one function here that returns 0 for success.
  else
    made("ALPN", ssl.SSL_CTX_set_alpn_protos(context, protocols, protocols.length) === 0 ? 1 : 0);
}

let selector: bigint | undefined;

/** Ours if the client offers it, otherwise an alert. A client that offers nothing is not asked. */
function protocolSelector(): bigint {
  if (selector !== undefined) return selector;
  const ssl = openssl();
  // OpenSSL keeps a pointer into this list for as long as a connection lives: it stays for ever.
  const list = koffi.alloc("uint8_t", protocols.length);
  koffi.encode(list, koffi.array("uint8_t", protocols.length), [...protocols]);
  const ours = Number(koffi.address(list));
  selector = ssl.protocolSelector((chosen, chosenBytes, theirs, theirsBytes) =>
    ssl.SSL_select_next_proto(chosen, chosenBytes, ours, protocols.length, theirs, theirsBytes) ===
    protocolChosen
      ? acknowledge
      : fatalAlert,
  );
  return selector;
}

function readCertificates(pem: string): Address[] {
  const ssl = openssl();
  const found = withBio("certificate", pem, (bio) => {
    const list: Address[] = [];
    for (;;) {
      const certificate = ssl.PEM_read_bio_X509(bio, null, null, null);
      if (certificate === 0) return list;
      list.push(certificate);
    }
  });
  // The end of the text is an error to OpenSSL.
  ssl.ERR_clear_error();
  return found;
}

function withBio<T>(what: string, text: string, read: (bio: Address) => T): T {
  const ssl = openssl();
  const bytes = Buffer.from(text, "latin1");
  const bio = made(what, ssl.BIO_new_mem_buf(bytes, bytes.length));
  try {
    return read(bio);
  } finally {
    ssl.BIO_free(bio);
  }
}

/** Passes a result on, or throws where it says failure. */
function made(what: string, result: number): number {
  if (result > 0) return result;
  throw new MeshError("tls-failed", `tls error: cannot use ${what}: ${takeError() ?? "no reason"}`);
}
