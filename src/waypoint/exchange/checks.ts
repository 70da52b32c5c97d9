/** What makes a request refused before any filter sees it (Envoy's ConnectionManagerImpl::ActiveStream::decodeHeaders). */
import type { LocalReply, RequestHead } from "../http/message.ts";
import type { HttpSettings } from "../model/chain.ts";
import type { Forward } from "../model/route.ts";
import { normalizePath } from "../routing/normalize.ts";

function refusal(status: number, details: string): LocalReply {
  return { status, body: "", details, flags: [] };
}

const missingPath = refusal(404, "missing_path_rejected");
const relativePath = refusal(404, "absolute_path_rejected");

const badPath = refusal(400, "path_normalization_failed");
const redirected = refusal(307, "path_normalization_failed");

/** Brings the path into its configured form; undefined: go on. */
export function checkRequest(head: RequestHead, settings: HttpSettings): LocalReply | undefined {
  const { path, method } = head;
  if (path === "") return method === "CONNECT" ? undefined : missingPath;
  if (path.charCodeAt(0) !== 0x2f) return relativePath;
  const normalized = normalizePath(path, settings);
  switch (normalized.kind) {
    case "unchanged":
      return undefined;
    case "changed":
      head.path = normalized.path;
      return undefined;
    case "redirect":
      return { ...redirected, fields: [["location", normalized.path]] };
    case "reject":
      return badPath;
  }
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
