/** How roles reach a control plane over gRPC: one description for xDS and for the certificate authority (sections 1.1 and 2). */

export interface GrpcEndpointOptions {
  /** `https://host:port` (TLS) or `http://host:port` (plaintext, for a control plane on the same machine). */
  readonly address: string;
  /** Path of a PEM file, `SYSTEM` for the machine's roots, or PEM text. Read anew for every channel. */
  readonly rootCa: string;
  /** Accepted besides the host of the address when the server's certificate is verified. */
  readonly altHostname?: string | undefined;
  /** Path of a file (read anew for every request) or the token itself; undefined: no authorization header. */
  readonly authToken?: string | undefined;
  readonly clusterId: string;
  /** Further headers, names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}
