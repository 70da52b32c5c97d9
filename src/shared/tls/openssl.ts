/**
 * The OpenSSL inside Node, whose symbols the binary exports on purpose for native code (nodejs.org/api/addons.html, "Linking
 * to libraries included with Node.js"), bound with koffi at first use. Called directly, a record costs its encryption and a
 * system call; Node's TLS sockets put two streams, a queue of writes and a turn of the loop around that
 * (docs/performance.md).
 *
 * Every call is a plain function of numbers and buffers; an `Address` of 0 is C's NULL. What a name does is in OpenSSL's
 * manual; what is an error goes to a queue of the thread, see `takeError`.
 */
import koffi from "koffi";
import { describeError, MeshError } from "../base/errors.ts";

/** Of something that OpenSSL owns. */
export type Address = number;

export interface OpenSsl {
  readonly TLS_method: () => Address;
  readonly SSL_CTX_new: (method: Address) => Address;
  readonly SSL_CTX_free: (context: Address) => void;
  readonly SSL_CTX_ctrl: (context: Address, what: number, value: number, more: Address) => number;
  readonly SSL_CTX_set_options: (context: Address, options: number) => number;
  readonly SSL_CTX_set_ciphersuites: (context: Address, suites: string) => number;
  readonly SSL_CTX_set_cipher_list: (context: Address, suites: string) => number;
  /** `SSL_CTX_ctrl` where the last argument is a text. */
  readonly setText: (context: Address, what: number, value: number, text: string) => number;
  readonly SSL_CTX_set_num_tickets: (context: Address, count: number) => number;
  readonly SSL_CTX_set_default_read_buffer_len: (context: Address, bytes: number) => void;
  readonly SSL_CTX_use_certificate: (context: Address, certificate: Address) => number;
  readonly SSL_CTX_use_PrivateKey: (context: Address, key: Address) => number;
  readonly SSL_CTX_check_private_key: (context: Address) => number;
  readonly SSL_CTX_get_cert_store: (context: Address) => Address;
  readonly SSL_CTX_add_client_CA: (context: Address, certificate: Address) => number;
  readonly SSL_CTX_get0_param: (context: Address) => Address;
  readonly SSL_CTX_set_verify: (context: Address, mode: number, callback: null) => void;
  readonly SSL_CTX_set_alpn_protos: (context: Address, list: Uint8Array, bytes: number) => number;
  readonly SSL_CTX_set_alpn_select_cb: (context: Address, select: bigint, datum: null) => void;
  readonly SSL_select_next_proto: (
    chosen: Address,
    chosenBytes: Address,
    ours: Address,
    oursBytes: number,
    theirs: Address,
    theirsBytes: number,
  ) => number;
  readonly X509_STORE_add_cert: (store: Address, certificate: Address) => number;
  readonly X509_VERIFY_PARAM_set_flags: (parameters: Address, flags: number) => number;
  readonly X509_verify_cert_error_string: (code: number) => string;
  readonly X509_free: (certificate: Address) => void;
  readonly EVP_PKEY_free: (key: Address) => void;
  readonly BIO_new: (method: Address) => Address;
  readonly BIO_s_mem: () => Address;
  readonly BIO_f_buffer: () => Address;
  readonly BIO_new_socket: (fd: number, closes: number) => Address;
  readonly BIO_push: (bio: Address, next: Address) => Address;
  readonly BIO_int_ctrl: (bio: Address, what: number, value: number, more: number) => number;
  readonly BIO_ctrl: (bio: Address, what: number, value: number, more: Address) => number;
  readonly BIO_new_mem_buf: (bytes: Uint8Array, length: number) => Address;
  readonly BIO_free: (bio: Address) => number;
  readonly BIO_ctrl_pending: (bio: Address) => number;
  readonly BIO_read: (bio: Address, into: Uint8Array, length: number) => number;
  readonly PEM_read_bio_X509: (bio: Address, into: null, password: null, datum: null) => Address;
  readonly PEM_read_bio_PrivateKey: (
    bio: Address,
    into: null,
    password: null,
    datum: null,
  ) => Address;
  readonly i2d_X509_bio: (bio: Address, certificate: Address) => number;
  readonly OPENSSL_sk_num: (stack: Address) => number;
  readonly OPENSSL_sk_value: (stack: Address, index: number) => Address;
  readonly SSL_new: (context: Address) => Address;
  readonly SSL_free: (ssl: Address) => void;
  readonly SSL_set_fd: (ssl: Address, fd: number) => number;
  readonly SSL_set0_wbio: (ssl: Address, bio: Address) => void;
  readonly SSL_set_connect_state: (ssl: Address) => void;
  readonly SSL_set_accept_state: (ssl: Address) => void;
  readonly SSL_do_handshake: (ssl: Address) => number;
  readonly SSL_read: (ssl: Address, into: Uint8Array, length: number) => number;
  readonly SSL_write: (ssl: Address, bytes: Uint8Array, length: number) => number;
  readonly SSL_has_pending: (ssl: Address) => number;
  readonly SSL_shutdown: (ssl: Address) => number;
  readonly SSL_get_error: (ssl: Address, result: number) => number;
  readonly SSL_get_verify_result: (ssl: Address) => number;
  readonly SSL_get0_peer_certificate: (ssl: Address) => Address;
  readonly SSL_get0_verified_chain: (ssl: Address) => Address;
  readonly ERR_clear_error: () => void;
  readonly ERR_get_error: () => number;
  readonly ERR_reason_error_string: (code: number) => string | null;
  /** Makes C's pointer to a function that chooses the application protocol; never freed. */
  readonly protocolSelector: (
    select: (chosen: Address, chosenBytes: Address, theirs: Address, theirsBytes: number) => number,
  ) => bigint;
}

/** Throws MeshError `system-failed` where this Node's OpenSSL cannot be called. */
export function openssl(): OpenSsl {
  bound ??= bind();
  return bound;
}

let bound: OpenSsl | undefined;

function bind(): OpenSsl {
  try {
    return bindSymbols();
  } catch (thrown) {
    throw unusable(thrown);
  }
}

function unusable(cause: unknown): MeshError {
  const why = `its symbols are not exported (${describeError(cause)})`;
  return new MeshError("system-failed", `Cannot use the OpenSSL of this Node: ${why}`, { cause });
}

function bindSymbols(): OpenSsl {
  const library = koffi.load(null);
  const select = koffi.pointer(
    koffi.proto(
      "int AmbitSelectProtocol(intptr_t, intptr_t, intptr_t, intptr_t, uint32_t, intptr_t)",
    ),
  );
  const f = (prototype: string) => library.func(prototype);
  return {
    TLS_method: f("intptr_t TLS_method()"),
    SSL_CTX_new: f("intptr_t SSL_CTX_new(intptr_t)"),
    SSL_CTX_free: f("void SSL_CTX_free(intptr_t)"),
    SSL_CTX_ctrl: f("long SSL_CTX_ctrl(intptr_t, int, long, intptr_t)"),
    SSL_CTX_set_options: f("uint64_t SSL_CTX_set_options(intptr_t, uint64_t)"),
    SSL_CTX_set_ciphersuites: f("int SSL_CTX_set_ciphersuites(intptr_t, str)"),
    SSL_CTX_set_cipher_list: f("int SSL_CTX_set_cipher_list(intptr_t, str)"),
    setText: f("long SSL_CTX_ctrl(intptr_t, int, long, str)"),
    SSL_CTX_set_num_tickets: f("int SSL_CTX_set_num_tickets(intptr_t, size_t)"),
    SSL_CTX_set_default_read_buffer_len: f(
      "void SSL_CTX_set_default_read_buffer_len(intptr_t, size_t)",
    ),
    SSL_CTX_use_certificate: f("int SSL_CTX_use_certificate(intptr_t, intptr_t)"),
    SSL_CTX_use_PrivateKey: f("int SSL_CTX_use_PrivateKey(intptr_t, intptr_t)"),
    SSL_CTX_check_private_key: f("int SSL_CTX_check_private_key(intptr_t)"),
    SSL_CTX_get_cert_store: f("intptr_t SSL_CTX_get_cert_store(intptr_t)"),
    SSL_CTX_add_client_CA: f("int SSL_CTX_add_client_CA(intptr_t, intptr_t)"),
    SSL_CTX_get0_param: f("intptr_t SSL_CTX_get0_param(intptr_t)"),
    SSL_CTX_set_verify: f("void SSL_CTX_set_verify(intptr_t, int, void *)"),
    SSL_CTX_set_alpn_protos: f("int SSL_CTX_set_alpn_protos(intptr_t, void *, unsigned int)"),
    SSL_CTX_set_alpn_select_cb: f("void SSL_CTX_set_alpn_select_cb(intptr_t, void *, void *)"),
    SSL_select_next_proto: f(
      "int SSL_select_next_proto(intptr_t, intptr_t, intptr_t, unsigned int, intptr_t, unsigned int)",
    ),
    X509_STORE_add_cert: f("int X509_STORE_add_cert(intptr_t, intptr_t)"),
    X509_VERIFY_PARAM_set_flags: f("int X509_VERIFY_PARAM_set_flags(intptr_t, unsigned long)"),
    X509_verify_cert_error_string: f("str X509_verify_cert_error_string(long)"),
    X509_free: f("void X509_free(intptr_t)"),
    EVP_PKEY_free: f("void EVP_PKEY_free(intptr_t)"),
    BIO_new: f("intptr_t BIO_new(intptr_t)"),
    BIO_s_mem: f("intptr_t BIO_s_mem()"),
    BIO_f_buffer: f("intptr_t BIO_f_buffer()"),
    BIO_new_socket: f("intptr_t BIO_new_socket(int, int)"),
    BIO_push: f("intptr_t BIO_push(intptr_t, intptr_t)"),
    BIO_int_ctrl: f("long BIO_int_ctrl(intptr_t, int, long, int)"),
    BIO_ctrl: f("long BIO_ctrl(intptr_t, int, long, intptr_t)"),
    BIO_new_mem_buf: f("intptr_t BIO_new_mem_buf(void *, int)"),
    BIO_free: f("int BIO_free(intptr_t)"),
    BIO_ctrl_pending: f("size_t BIO_ctrl_pending(intptr_t)"),
    BIO_read: f("int BIO_read(intptr_t, void *, int)"),
    PEM_read_bio_X509: f("intptr_t PEM_read_bio_X509(intptr_t, void *, void *, void *)"),
    PEM_read_bio_PrivateKey: f(
      "intptr_t PEM_read_bio_PrivateKey(intptr_t, void *, void *, void *)",
    ),
    i2d_X509_bio: f("int i2d_X509_bio(intptr_t, intptr_t)"),
    OPENSSL_sk_num: f("int OPENSSL_sk_num(intptr_t)"),
    OPENSSL_sk_value: f("intptr_t OPENSSL_sk_value(intptr_t, int)"),
    SSL_new: f("intptr_t SSL_new(intptr_t)"),
    SSL_free: f("void SSL_free(intptr_t)"),
    SSL_set_fd: f("int SSL_set_fd(intptr_t, int)"),
    SSL_set0_wbio: f("void SSL_set0_wbio(intptr_t, intptr_t)"),
    SSL_set_connect_state: f("void SSL_set_connect_state(intptr_t)"),
    SSL_set_accept_state: f("void SSL_set_accept_state(intptr_t)"),
    SSL_do_handshake: f("int SSL_do_handshake(intptr_t)"),
    SSL_read: f("int SSL_read(intptr_t, void *, int)"),
    SSL_write: f("int SSL_write(intptr_t, void *, int)"),
    SSL_has_pending: f("int SSL_has_pending(intptr_t)"),
    SSL_shutdown: f("int SSL_shutdown(intptr_t)"),
    SSL_get_error: f("int SSL_get_error(intptr_t, int)"),
    SSL_get_verify_result: f("long SSL_get_verify_result(intptr_t)"),
    SSL_get0_peer_certificate: f("intptr_t SSL_get0_peer_certificate(intptr_t)"),
    SSL_get0_verified_chain: f("intptr_t SSL_get0_verified_chain(intptr_t)"),
    ERR_clear_error: f("void ERR_clear_error()"),
    ERR_get_error: f("unsigned long ERR_get_error()"),
    ERR_reason_error_string: f("str ERR_reason_error_string(unsigned long)"),
    protocolSelector: (choose) =>
      koffi.register(
        (
          _ssl: Address,
          chosen: Address,
          chosenBytes: Address,
          theirs: Address,
          theirsBytes: number,
        ): number => choose(chosen, chosenBytes, theirs, theirsBytes),
        select,
      ),
  };
}

/** The oldest error of this thread in words, and an empty queue. Undefined when there is none. */
export function takeError(): string | undefined {
  const ssl = openssl();
  const code = ssl.ERR_get_error();
  ssl.ERR_clear_error();
  if (code === 0) return undefined;
  return ssl.ERR_reason_error_string(code) ?? `OpenSSL error ${code.toString(16)}`;
}
