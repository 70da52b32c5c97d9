/** `/metrics` and `/stats/prometheus` (wire/ztunnel.md section 9.2). Compressed when the client can take it. */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { type Metrics, metricsContentType } from "../telemetry/metrics.ts";
import type { AdminAnswer, AdminHandler } from "./http-server.ts";

const gzipAsync = promisify(gzip);
const brotliAsync = promisify(brotliCompress);

/** Bodies below this gain nothing. */
const compressAboveBytes = 1024;

type Encoding = "gzip" | "br";

/** The first coding of ours that the header accepts. */
export function chooseEncoding(accept: string | undefined): Encoding | undefined {
  const accepted = (accept ?? "")
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
    .map((part) => part.split(";")[0]?.trim());
  return (["gzip", "br"] as const).find((coding) => accepted.includes(coding));
}

function compress(encoding: Encoding, body: Buffer): Promise<Uint8Array> {
  return encoding === "gzip"
    ? gzipAsync(body)
    : brotliAsync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
}

export function statsRoutes(
  metrics: Pick<Metrics, "render">,
): Readonly<Record<string, AdminHandler>> {
  const print: AdminHandler = async (request): Promise<AdminAnswer> => {
    const contentType = metricsContentType(request.headers.accept);
    const body = Buffer.from(await metrics.render());
    const accept = request.headers["accept-encoding"];
    const encoding =
      body.length < compressAboveBytes ? undefined : chooseEncoding(String(accept ?? ""));
    if (encoding === undefined) return { status: 200, body, contentType };
    return {
      status: 200,
      body: await compress(encoding, body),
      contentType,
      headers: { "content-encoding": encoding, vary: "accept-encoding" },
    };
  };
  return { "/metrics": print, "/stats/prometheus": print };
}
