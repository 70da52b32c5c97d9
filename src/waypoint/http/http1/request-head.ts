/** A request's head from its text (RFC 9112 sections 3 and 5). */
import { Fields, type RequestHead } from "../message.ts";
import { type FieldRules, facts, parseFields } from "./fields.ts";
import { type Framing, statedFraming } from "./framing.ts";
import { MessageProblem } from "./problem.ts";

export interface ParsedRequest {
  readonly head: RequestHead;
  /** A length or chunked; 0 for none. */
  readonly framing: Framing;
  readonly minorVersion: number;
  readonly keepAlive: boolean;
  /** The client waits for 100 before it sends the body. */
  readonly expectsContinue: boolean;
}

const requestLine = /(?:\r\n)?([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.([01])\r\n/y;
const otherVersion = /^(?:\r\n)?[A-Z-]+ [\x21-\x7e]+ HTTP\/[0-9]\.[0-9]\r\n/;
const otherScheme = /^[A-Za-z][A-Za-z0-9+.-]*:\/\//;
const absoluteForm = /^(https?):\/\/([^/?#]*)(.*)$/i;
const hostForm = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(?::[0-9]{1,5})?$/;

/** Those Envoy knows; custom ones are refused there too unless switched on. */
const methods: ReadonlyMap<string, string> = new Map(
  (
    "GET POST PUT DELETE HEAD OPTIONS PATCH CONNECT TRACE ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY " +
    "MKCALENDAR MKCOL MOVE MSEARCH M-SEARCH NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE " +
    "UNBIND UNLINK UNLOCK UNSUBSCRIBE"
  )
    .split(" ")
    .map((method) => [method, method]),
);

/** `text` is the head up to and with its empty line. Throws MessageProblem. */
export function parseRequestHead(text: string, rules: FieldRules): ParsedRequest {
  requestLine.lastIndex = 0;
  const line = requestLine.exec(text);
  if (line === null) throw explainLine(text);
  const method = methods.get(line[1] ?? "");
  if (method === undefined) throw new MessageProblem("unknown method");
  const minorVersion = line[3] === "1" ? 1 : 0;
  const flat = parseFields(text, requestLine.lastIndex, rules);
  const framing = statedFraming(minorVersion, 0);
  checkHost(minorVersion);
  const head: RequestHead = {
    method,
    scheme: "http",
    authority: facts.host,
    path: line[2] ?? "",
    fields: new Fields(flat),
    upgrade: undefined,
  };
  if (head.path.charCodeAt(0) !== 0x2f || method === "CONNECT") applyTarget(head);
  if (facts.connectionUpgrade && facts.upgrade !== undefined) applyUpgrade(head, minorVersion);
  if (head.upgrade !== undefined || method === "CONNECT") checkNoBody(framing);
  return {
    head,
    framing,
    minorVersion,
    keepAlive:
      minorVersion === 1
        ? !facts.connectionClose
        : facts.connectionKeepAlive && !facts.connectionClose,
    expectsContinue: facts.expects && minorVersion === 1 && framing !== 0,
  };
}

function explainLine(text: string): MessageProblem {
  if (otherVersion.test(text) && !text.startsWith("PRI "))
    return new MessageProblem("unsupported HTTP version", "low_version", 426);
  return new MessageProblem("malformed request line");
}

/** RFC 9112 section 3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0. */
function checkHost(minorVersion: number): void {
  if (facts.hosts > 1) throw new MessageProblem("several Host fields");
  if (facts.hosts === 0 && minorVersion === 1)
    throw new MessageProblem("no Host field", "missing_host_header");
  if (!hostForm.test(facts.host))
    throw new MessageProblem("malformed Host field", "http.invalid_authority");
}

/** Everything but the origin form (RFC 9112 section 3.2). */
function applyTarget(head: RequestHead): void {
  const target = head.path;
  if (head.method === "CONNECT") {
    if (!hostForm.test(target) || !/:[0-9]+$/.test(target)) throw invalidTarget();
    head.authority = target;
    head.path = "";
  } else if (target === "*") {
    if (head.method !== "OPTIONS") throw invalidTarget();
  } else {
    applyAbsoluteForm(head, target);
  }
}

function applyAbsoluteForm(head: RequestHead, target: string): void {
  if (!otherScheme.test(target)) throw new MessageProblem("request target without slash");
  const [, scheme, authority, rest] = absoluteForm.exec(target) ?? [];
  if (scheme === undefined || authority === undefined || rest === undefined)
    throw new MessageProblem("request target of another scheme", "http1.invalid_scheme");
  if (authority === "" || !hostForm.test(authority)) throw invalidTarget();
  // The target wins over Host (RFC 9112 section 3.2.2); nothing behind us sees the latter.
  head.scheme = scheme.toLowerCase();
  head.authority = authority;
  head.path = rest.startsWith("/") ? rest : `/${rest}`;
}

function invalidTarget(): MessageProblem {
  return new MessageProblem("malformed request target", "http1.invalid_url");
}

/** An offer of h2c is not taken up: the request goes on without it, as RFC 9110 section 7.8 allows. */
function applyUpgrade(head: RequestHead, minorVersion: number): void {
  const upgrade = facts.upgrade?.toLowerCase() ?? "";
  if (upgrade === "h2c" || minorVersion === 0) return;
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z/]+$/.test(upgrade))
    throw new MessageProblem("malformed Upgrade field");
  head.upgrade = upgrade;
}

/** What follows such a head is not HTTP any more if the answer says so: a body would have two readings. */
function checkNoBody(framing: Framing): void {
  if (framing === 0) return;
  const details =
    framing > 0 ? "http1.content_length_not_allowed" : "http1.transfer_encoding_not_allowed";
  throw new MessageProblem("a body in a request for a tunnel", details);
}
