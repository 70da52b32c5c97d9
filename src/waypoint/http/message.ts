/** HTTP messages as every part of the waypoint sees them, whichever version carried them. */

/**
 * Header fields in wire order: name, value, name, value. Names are lower-case; values have no leading or trailing white
 * space and no CR, LF or NUL. A flat array, because a request makes several of them.
 */
export class Fields {
  readonly flat: string[];

  constructor(flat: string[] = []) {
    this.flat = flat;
  }

  /** The first value of this lower-case name. */
  get(name: string): string | undefined {
    const { flat } = this;
    for (let at = 0; at < flat.length; at += 2) if (flat[at] === name) return flat[at + 1];
    return undefined;
  }

  /** All values of this name joined with a comma, as matchers see them (RFC 9110 section 5.3). */
  joined(name: string): string | undefined {
    const { flat } = this;
    let joined: string | undefined;
    for (let at = 0; at < flat.length; at += 2) {
      if (flat[at] !== name) continue;
      joined = joined === undefined ? flat[at + 1] : `${joined},${flat[at + 1]}`;
    }
    return joined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  append(name: string, value: string): void {
    this.flat.push(name, value);
  }

  /** Replaces the first and removes the others; appends if there was none. */
  set(name: string, value: string): void {
    const { flat } = this;
    for (let at = 0; at < flat.length; at += 2) {
      if (flat[at] !== name) continue;
      flat[at + 1] = value;
      this.#removeFrom(at + 2, name);
      return;
    }
    flat.push(name, value);
  }

  remove(name: string): void {
    this.#removeFrom(0, name);
  }

  copy(): Fields {
    return new Fields(this.flat.slice());
  }

  #removeFrom(start: number, name: string): void {
    const { flat } = this;
    let to = start;
    for (let at = start; at < flat.length; at += 2) {
      if (flat[at] === name) continue;
      flat[to] = flat[at] ?? "";
      flat[to + 1] = flat[at + 1] ?? "";
      to += 2;
    }
    // Setting a length costs more than the search, even if it stays.
    if (to < flat.length) flat.length = to;
  }
}

export type HttpProtocol = "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";

/** Changed in place by filters and the route on its way through. */
export interface RequestHead {
  method: string;
  /** "http" or "https"; a waypoint sees the former unless the client said otherwise. */
  scheme: string;
  /** Host header or `:authority`; "" when an HTTP/1.0 request has none. */
  authority: string;
  /** Path and query; for CONNECT "". */
  path: string;
  /** Without Host, hop-by-hop fields and framing (Connection, Transfer-Encoding, Keep-Alive, Upgrade, HTTP2-Settings); Content-Length stays. */
  readonly fields: Fields;
  /** The protocol an upgrade asks for, lower-case: "websocket"; `:protocol` of an extended CONNECT likewise. */
  upgrade: string | undefined;
}

export interface ResponseHead {
  status: number;
  /** Without hop-by-hop fields and framing; Content-Length stays. */
  readonly fields: Fields;
}

/** An answer of ours. */
export interface LocalReply {
  readonly status: number;
  readonly body: string;
  /** Defaults to text/plain when there is a body. */
  readonly contentType?: string;
  readonly fields?: readonly (readonly [name: string, value: string])[];
  /** A gRPC request is answered with trailers only: 200, content-type application/grpc and this or the mapped grpc-status. */
  readonly grpcStatus?: number;
  /** %RESPONSE_CODE_DETAILS%, e.g. "rbac_access_denied_matched_policy[ns[shop]-policy[x]-rule[0]]". */
  readonly details: string;
  /** %RESPONSE_FLAGS%, short: "NR", "UAEX"; several at once are allowed. */
  readonly flags: readonly ResponseFlag[];
}

/** Envoy's short names; telemetry prints them joined by a comma. */
export type ResponseFlag =
  | "LH"
  | "UH"
  | "UT"
  | "LR"
  | "UR"
  | "UF"
  | "UC"
  | "UO"
  | "NR"
  | "DI"
  | "FI"
  | "RL"
  | "UAEX"
  | "RLSE"
  | "DC"
  | "URX"
  | "SI"
  | "IH"
  | "DPE"
  | "UMSDR"
  | "NFCF"
  | "DT"
  | "UPE"
  | "NC"
  | "OM"
  | "DF"
  | "DO"
  | "DR"
  | "UDO";
