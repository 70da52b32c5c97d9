/** What a codec refuses, with the status and details that Envoy gives for it (source/common/http/http1/codec_impl.cc). */

export class MessageProblem extends Error {
  readonly status: number;
  /** %RESPONSE_CODE_DETAILS%. */
  readonly details: string;

  /** Found by the codec, not by Envoy's connection manager behind it: flag DPE, and the reason phrase as body. */
  get isCodecs(): boolean {
    return this.details.startsWith("http1.");
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
