/** Reads objects and node agents' words from disk once and reports about them. */
import { readObjects } from "../../shared/objects/file/read.ts";
import { objectsOfKind } from "../../shared/objects/source.ts";
import { readRedirectionStatuses, redirectionStatusDir } from "../../shared/status/redirection.ts";
import { allocateAddresses } from "../translate/auto-addresses.ts";
import type { MeshSettings } from "../translate/settings.ts";
import { Translator } from "../translate/translate.ts";
import { type StatusReport, statusReport } from "./report.ts";

export async function loadStatus(
  configPath: string,
  settings: MeshSettings,
  node?: string,
): Promise<StatusReport> {
  const snapshot = readObjects(configPath);
  const readings = await readRedirectionStatuses(await redirectionStatusDir(configPath));
  const redirected = new Map(
    readings.flatMap((reading) =>
      reading.kind === "status"
        ? [[reading.status.node, new Set(reading.status.pods)] as const]
        : [],
    ),
  );
  const state = new Translator(settings).translate({
    objects: snapshot.objects,
    redirected,
    autoAddresses: allocateAddresses(objectsOfKind(snapshot, "ServiceEntry"), new Map()),
  });
  return statusReport(snapshot, state, redirected, settings, node);
}
