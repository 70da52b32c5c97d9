/** What makes a request refused before any filter sees it (Envoy's ConnectionManagerImpl::ActiveStream::decodeHeaders). */
import type { LocalReply, RequestHead } from "../http/message.ts";
import type { HttpSettings } from "../model/chain.ts";
import type { Forward } from "../model/route.ts";

function refusal(status: number, details: string): LocalReply {
  return { status, body: "", details, flags: [] };
}

const missingPath = refusal(404, "missing_path_rejected");
const relativePath = refusal(404, "absolute_path_rejected");

/** Brings the path into its configured form; undefined: go on. */
export function checkRequest(head: RequestHead, _settings: HttpSettings): LocalReply | undefined {
  const { path, method } = head;
  if (path === "") return method === "CONNECT" ? undefined : missingPath;
  if (path.charCodeAt(0) !== 0x2f) return relativePath;
  return undefined;
}

/** The route's word counts more than the listener's. */
export function upgradeAllowed(
  head: RequestHead,
  settings: HttpSettings,
  forward: Forward | undefined,
): boolean {
  const type = head.upgrade ?? "connect";
  return forward?.upgrades.get(type) ?? settings.upgrades.has(type);
}
