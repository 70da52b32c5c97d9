/** Heads as text. Names are lower-case on the wire, as Envoy writes them; values come from parsers that let no CR or LF in. */
import type { Fields, RequestHead, ResponseHead } from "../message.ts";
import { chunked, type Framing, untilClose } from "./framing.ts";

const reasons: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Payload Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  421: "Misdirected Request",
  422: "Unprocessable Entity",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  510: "Not Extended",
  511: "Network Authentication Required",
};

export function reasonOf(status: number): string {
  return reasons[status] ?? "Unknown";
}

const statusLines = new Map<number, string>();

function statusLine(status: number): string {
  const known = statusLines.get(status);
  if (known !== undefined) return known;
  const line = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n`;
  statusLines.set(status, line);
  return line;
}

/** Content-Length is written by the framing, wherever it stands in the fields. */
function fieldLines(fields: Fields, withLength: boolean): string {
  const { flat } = fields;
  let text = "";
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? "";
    if (!withLength && name === "content-length") continue;
    text += `${name}: ${flat[at + 1]}\r\n`;
  }
  return text;
}

/** `connection`: "close", "keep-alive", "upgrade" or "" for none. */
export function responseText(
  head: ResponseHead,
  framing: Framing,
  connection: string,
  upgrade: string | undefined,
): string {
  let text = statusLine(head.status) + fieldLines(head.fields, framing >= 0);
  if (framing === chunked) text += "transfer-encoding: chunked\r\n";
  if (upgrade !== undefined) text += `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  else if (connection !== "") text += `connection: ${connection}\r\n`;
  return `${text}\r\n`;
}

export function interimText(head: ResponseHead): string {
  return `${statusLine(head.status)}${fieldLines(head.fields, false)}\r\n`;
}

export function requestText(head: RequestHead, framing: Framing): string {
  const target = head.method === "CONNECT" ? head.authority : head.path;
  let text = `${head.method} ${target} HTTP/1.1\r\nhost: ${head.authority}\r\n`;
  text += fieldLines(head.fields, framing !== chunked && framing !== untilClose);
  if (framing === chunked) text += "transfer-encoding: chunked\r\n";
  if (head.upgrade !== undefined) text += `connection: upgrade\r\nupgrade: ${head.upgrade}\r\n`;
  return `${text}\r\n`;
}

export function trailerText(trailers: Fields | undefined): string {
  if (trailers === undefined) return "0\r\n\r\n";
  return `0\r\n${fieldLines(trailers, false)}\r\n`;
}
