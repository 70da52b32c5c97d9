/** Reads the access log of a waypoint in the mesh's JSON form (the fields of `accessLogEncoding: JSON`). Pure. */

export interface WaypointEntry {
  /** `10.10.1.10:40000` */
  readonly client: string;
  /** Undefined for connections that are not HTTP. */
  readonly method: string | undefined;
  readonly path: string;
  readonly authority: string;
  readonly status: number;
  readonly flags: string;
  readonly details: string;
  readonly cluster: string;
  /** Where it went; empty when nowhere. */
  readonly upstream: string;
  readonly route: string;
  readonly requestId: string;
  readonly durationMs: number;
}

export function parseWaypointLine(line: string): WaypointEntry | undefined {
  if (!line.startsWith('{"')) return undefined;
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
  if (!("response_code" in fields) || !("downstream_remote_address" in fields)) return undefined;
  const text = (name: string): string => {
    const value = fields[name];
    return value === undefined || value === null || value === "-" ? "" : String(value);
  };
  const method = text("method");
  return {
    client: text("downstream_remote_address"),
    method: method === "" ? undefined : method,
    path: text("path"),
    authority: text("authority"),
    status: Number(fields["response_code"]),
    flags: text("response_flags"),
    details: text("response_code_details"),
    cluster: text("upstream_cluster"),
    upstream: text("upstream_host").replace(/^envoy:\/\/connect_originate\//, ""),
    route: text("route_name"),
    requestId: text("request_id"),
    durationMs: Number(fields["duration"]),
  };
}

/** The policy and rule that a refusal names, such as `shop/no-delete rule 0`; undefined when no policy refused. */
export function refusingPolicy({ details }: WaypointEntry): string | undefined {
  if (details.startsWith("jwt_authn_access_denied")) return details;
  const refused = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details)?.[1];
  if (refused === undefined) return undefined;
  const named = /^ns\[(.*?)\]-policy\[(.*?)\]-rule\[(\d+)\]$/.exec(refused);
  return named === null ? "no allow policy matches" : `${named[1]}/${named[2]} rule ${named[3]}`;
}
