/** One TLS connection on a descriptor, from its handshake on. Nothing here waits: each call does what it can, and says so. */
import { EAGAIN } from "../os/constants.ts";
import { errnoText } from "../os/errno.ts";
import { lastErrno } from "../os/libc.ts";
import type { TlsContext } from "./context.ts";
import { type Address, type OpenSsl, openssl, takeError } from "./openssl.ts";
import { fullRecordWireBytes } from "./records.ts";

/** In place of a count: what comes next. */
export const tlsEnd = 0;
export const tlsWantsRead = -1;
export const tlsWantsWrite = -2;
/** `failure` tells why. Nothing but `free` may follow. */
export const tlsFailed = -3;

// ssl.h
const errorKind = { wantsRead: 2, wantsWrite: 3, systemCall: 5, closed: 6 } as const;
const verified = 0;

// bio.h
const setBufferSize = 117;
const forWrites = 1;
const flushNow = 11;
const leaveOpen = 0;
const joinedRecords = 33;

export class TlsSession {
  readonly #ssl: OpenSsl;
  readonly #fd: number;
  #address: Address;
  /** What joins records; SSL_free frees it. */
  #joined: Address = 0;
  #failure = "";

  /** The descriptor must be non-blocking, and must stay open until `free`. */
  constructor(context: TlsContext, fd: number) {
    this.#ssl = openssl();
    this.#fd = fd;
    this.#address = this.#ssl.SSL_new(context.address);
    this.#ssl.SSL_set_fd(this.#address, fd);
    if (context.role === "client") this.#ssl.SSL_set_connect_state(this.#address);
    else this.#ssl.SSL_set_accept_state(this.#address);
  }

  /** 1 when it is done and the peer's certificate is verified, or what comes next. */
  handshake(): number {
    this.#ssl.ERR_clear_error();
    const result = this.#ssl.SSL_do_handshake(this.#address);
    return result === 1 ? 1 : this.#outcome(result);
  }

  /** Octets read, of one record at most; or what comes next, `tlsEnd` among it. */
  read(into: Uint8Array): number {
    // What an unrelated call left behind in the thread's queue would be taken for ours.
    this.#ssl.ERR_clear_error();
    const count = this.#ssl.SSL_read(this.#address, into, into.length);
    return count > 0 ? count : this.#outcome(count);
  }

  /** Whether something is here already, so that the descriptor will not tell of it. */
  get hasPending(): boolean {
    return this.#ssl.SSL_has_pending(this.#address) === 1;
  }

  /**
   * Octets taken, of one record at most; or what comes next. After `tlsWantsWrite` the same octets must come again, and may
   * be followed by others.
   */
  write(bytes: Uint8Array): number {
    this.#ssl.ERR_clear_error();
    const count = this.#ssl.SSL_write(this.#address, bytes, bytes.length);
    return count > 0 ? count : this.#outcome(count);
  }

  /** From now on records are joined, and leave with `flush` or when they are as many as one large write makes. */
  joinRecords(): void {
    if (this.#joined !== 0) return;
    const ssl = this.#ssl;
    const joined = ssl.BIO_new(ssl.BIO_f_buffer());
    ssl.BIO_int_ctrl(joined, setBufferSize, joinedRecords * fullRecordWireBytes, forWrites);
    ssl.BIO_push(joined, ssl.BIO_new_socket(this.#fd, leaveOpen));
    ssl.SSL_set0_wbio(this.#address, joined);
    this.#joined = joined;
  }

  /** 1 when all records have left, or what comes next. */
  flush(): number {
    if (this.#joined === 0 || this.#ssl.BIO_ctrl(this.#joined, flushNow, 0, 0) > 0) return 1;
    const errno = lastErrno();
    if (errno === EAGAIN) return tlsWantsWrite;
    this.#failure = errnoText(errno);
    return tlsFailed;
  }

  /** Tells the peer that nothing more comes; if the kernel takes it now. */
  shutdown(): void {
    this.#ssl.SSL_shutdown(this.#address);
    this.flush();
  }

  get failure(): string {
    return this.#failure;
  }

  /** The peer's certificate in DER. */
  peerCertificate(): Buffer | undefined {
    const certificate = this.#ssl.SSL_get0_peer_certificate(this.#address);
    return certificate === 0 ? undefined : this.#der(certificate);
  }

  /** From the peer's certificate to the root, as OpenSSL joined and verified them. */
  peerChain(): readonly Buffer[] {
    const chain = this.#ssl.SSL_get0_verified_chain(this.#address);
    if (chain === 0) return [];
    const length = this.#ssl.OPENSSL_sk_num(chain);
    return Array.from({ length }, (_, at) => this.#der(this.#ssl.OPENSSL_sk_value(chain, at)));
  }

  /** Idempotent. */
  free(): void {
    const address = this.#address;
    this.#address = 0;
    if (address !== 0) this.#ssl.SSL_free(address);
  }

  #outcome(result: number): number {
    const kind = this.#ssl.SSL_get_error(this.#address, result);
    switch (kind) {
      case errorKind.wantsRead:
        return tlsWantsRead;
      case errorKind.wantsWrite:
        return tlsWantsWrite;
      case errorKind.closed:
        return tlsEnd;
      case errorKind.systemCall: {
        const errno = lastErrno();
        this.#failure = errno === 0 || errno === EAGAIN ? "connection closed" : errnoText(errno);
        return tlsFailed;
      }
      default:
        this.#failure = this.#reason();
        return tlsFailed;
    }
  }

  #reason(): string {
    const code = this.#ssl.SSL_get_verify_result(this.#address);
    const error = takeError() ?? "no reason given";
    if (code === verified) return error;
    return `peer certificate: ${this.#ssl.X509_verify_cert_error_string(code)}`;
  }

  #der(certificate: Address): Buffer {
    const bio = this.#ssl.BIO_new(this.#ssl.BIO_s_mem());
    try {
      this.#ssl.i2d_X509_bio(bio, certificate);
      const der = Buffer.alloc(this.#ssl.BIO_ctrl_pending(bio));
      this.#ssl.BIO_read(bio, der, der.length);
      return der;
    } finally {
      this.#ssl.BIO_free(bio);
    }
  }
}
