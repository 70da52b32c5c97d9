/** Certificates read from their DER, never from printed text (a name inside a certificate may contain any separator). */

export interface CertificateInfo {
  readonly pem: string;
  readonly der: Buffer;
  /** Upper-case hexadecimal, as node:crypto prints it. */
  readonly serialHex: string;
  readonly serialDecimal: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** URI names of the subjectAltName extension, in their order. */
  readonly uriSans: readonly string[];
}
