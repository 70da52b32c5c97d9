/** Ends of a connection that are nobody's failure (wire/ztunnel.md section 4.6). */
export const quietErrors: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE", "ENOTCONN"]);
