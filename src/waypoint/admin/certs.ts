/** `/certs`: what is presented and whom it trusts, in Envoy's shape. */
import type { SecretSnapshot } from "../../shared/identity/secret-source.ts";
import type { CertificateInfo } from "../../shared/identity/x509.ts";
import { formatTimestamp } from "../../shared/telemetry/logger.ts";

const dayMs = 86_400_000;

function view(certificate: CertificateInfo, nowMs: number): Readonly<Record<string, unknown>> {
  const seconds = (wallMs: number): string => `${formatTimestamp(wallMs).slice(0, 19)}Z`;
  return {
    path: "<inline>",
    serial_number: BigInt(certificate.serialDecimal).toString(16),
    subject_alt_names: certificate.uriSans.map((uri) => ({ uri })),
    days_until_expiration: String(
      Math.max(0, Math.floor((certificate.notAfterMs - nowMs) / dayMs)),
    ),
    valid_from: seconds(certificate.notBeforeMs),
    expiration_time: seconds(certificate.notAfterMs),
  };
}

export function certsView(
  snapshots: readonly SecretSnapshot[],
  nowMs: number,
): Readonly<Record<string, unknown>> {
  return {
    certificates: snapshots.flatMap(({ state }) =>
      state.kind !== "available"
        ? []
        : [
            {
              ca_cert: state.certificate.roots.map((each) => view(each, nowMs)),
              cert_chain: [state.certificate.leaf, ...state.certificate.intermediates].map((each) =>
                view(each, nowMs),
              ),
            },
          ],
    ),
  };
}
