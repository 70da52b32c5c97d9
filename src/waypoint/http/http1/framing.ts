/** How the end of a body is found (RFC 9112 section 6.3), from `facts` of the section just parsed. */
import { facts } from "./fields.ts";
import { MessageProblem } from "./problem.ts";

/** Octets of the body, or one of the two below. */
export type Framing = number;
export const chunked = -1;
export const untilClose = -2;

/** Chunked, a length, or `none` where nothing is said. Both at once are refused (RFC 9112 section 6.1). */
export function statedFraming(minorVersion: number, none: Framing): Framing {
  if (facts.transferEncodings === 0) return facts.contentLength < 0 ? none : facts.contentLength;
  if (minorVersion === 0)
    throw new MessageProblem(
      "Transfer-Encoding in HTTP/1.0",
      "http1.transfer_encoding_not_allowed",
    );
  if (facts.contentLength >= 0)
    throw new MessageProblem(
      "both Content-Length and Transfer-Encoding",
      "http1.content_length_and_chunked_not_allowed",
    );
  if (facts.transferEncodings > 1 || facts.transferEncoding.toLowerCase() !== "chunked")
    throw new MessageProblem(
      "Transfer-Encoding is not just chunked",
      "http1.invalid_transfer_encoding",
      501,
    );
  return chunked;
}
