/** A response's head from its text (RFC 9112 section 4). */
import { Fields, type ResponseHead } from "../message.ts";
import { type FieldRules, facts, parseFields } from "./fields.ts";
import { type Framing, statedFraming, untilClose } from "./framing.ts";
import { MessageProblem } from "./problem.ts";

export interface ParsedResponse {
  readonly head: ResponseHead;
  readonly framing: Framing;
  readonly keepAlive: boolean;
  /** 101, or 2xx to a CONNECT: no HTTP follows. */
  readonly tunnel: boolean;
}

/** What the request says about the answer's framing. */
export interface RequestFacts {
  readonly isHead: boolean;
  readonly isConnect: boolean;
  readonly upgrade: string | undefined;
}

const statusLine = /HTTP\/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/y;

/** Throws MessageProblem. */
export function parseResponseHead(
  text: string,
  rules: FieldRules,
  request: RequestFacts,
): ParsedResponse {
  statusLine.lastIndex = 0;
  const line = statusLine.exec(text);
  if (line === null) throw new MessageProblem("malformed status line");
  const minorVersion = line[1] === "1" ? 1 : 0;
  const status = Number(line[2]);
  const flat = parseFields(text, statusLine.lastIndex, rules);
  const head = { status, fields: new Fields(flat) };
  const tunnel = isTunnel(status, request);
  const framing = framingOf(status, minorVersion, request, tunnel);
  const keepAlive =
    minorVersion === 1
      ? !facts.connectionClose
      : facts.connectionKeepAlive && !facts.connectionClose;
  return { head, framing, keepAlive: keepAlive && !tunnel && framing !== untilClose, tunnel };
}

function isTunnel(status: number, request: RequestFacts): boolean {
  if (status === 101) {
    if (request.upgrade === undefined || facts.upgrade?.toLowerCase() !== request.upgrade)
      throw new MessageProblem("switches to a protocol that nobody asked for");
    return true;
  }
  return request.isConnect && status >= 200 && status < 300;
}

/** RFC 9112 section 6.3, rules 1 to 8. What is stated is checked even where it does not frame. */
function framingOf(
  status: number,
  minorVersion: number,
  request: RequestFacts,
  tunnel: boolean,
): Framing {
  const stated = statedFraming(minorVersion, untilClose);
  if (tunnel) return untilClose;
  // A length where there can be no body: whoever believes it reads the next answer as this one's.
  if ((status === 204 || status < 200) && stated !== untilClose && stated !== 0)
    throw new MessageProblem("a body in an answer that has none");
  if (request.isHead || status === 204 || status === 304 || status < 200) return 0;
  return stated;
}
