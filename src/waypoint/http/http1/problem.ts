/** What a codec refuses, with the status and details that Envoy gives for it (source/common/http/http1/codec_impl.cc). */

const behindCodec: ReadonlySet<string> = new Set(["missing_host_header", "request_header_timeout"]);

export class MessageProblem extends Error {
  readonly status: number;
  /** %RESPONSE_CODE_DETAILS%. */
  readonly details: string;

  /** What Envoy's codec finds has flag DPE and the reason phrase as body; what is found behind it has neither. */
  get isCodecs(): boolean {
    return !behindCodec.has(this.details);
  }

  constructor(problem: string, details = "http1.codec_error", status = 400) {
    super(problem);
    this.name = "MessageProblem";
    this.status = status;
    this.details = details;
  }
}

export function headTooLarge(): MessageProblem {
  return new MessageProblem("head is too large", "http1.headers_too_large", 431);
}

export function tooManyFields(): MessageProblem {
  return new MessageProblem("too many header fields", "http1.too_many_headers", 431);
}
