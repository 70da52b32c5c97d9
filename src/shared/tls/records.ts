/** Sizes of TLS records (RFC 8446 sections 5.1 and 5.2). */

/** Plaintext of a full one: behind it there is usually another. */
export const fullRecordBytes = 16 * 1024;

/** A full one on the wire: header, plaintext, type, tag. */
export const fullRecordWireBytes = 5 + fullRecordBytes + 1 + 16;
