/**
 * `/config_dump` in the shape of Envoy's admin port, as far as tools of the reference read it: node, clusters, listeners, their
 * routes, endpoints on demand, secrets without their keys. What was read past is listed at the end, which tools ignore.
 */
import type { SecretSnapshot } from "../../shared/identity/secret-source.ts";
import type { CertificateInfo } from "../../shared/identity/x509.ts";
import { formatTimestamp } from "../../shared/telemetry/logger.ts";
import type { XdsNode } from "../../shared/xds/types.ts";
import type { ResourceBook } from "../xds/book.ts";
import type { PrintResource } from "../xds/print-resource.ts";
import { routeConfigs } from "./route-configs.ts";

type Json = Readonly<Record<string, unknown>>;

export interface DumpSources {
  readonly node: XdsNode;
  readonly version: string;
  readonly books: {
    readonly clusters: ResourceBook;
    readonly endpoints: ResourceBook;
    readonly listeners: ResourceBook;
  };
  readonly secrets: () => readonly SecretSnapshot[];
}

export interface DumpOptions {
  /** Envoy leaves endpoints out unless asked (`include_eds`). */
  readonly endpoints: boolean;
  /** One list only, by its field: `dynamic_active_clusters`. */
  readonly resource: string | undefined;
}

const dumpType = (name: string): string => `type.googleapis.com/envoy.admin.v3.${name}`;

function time(wallMs: number): string {
  return `${formatTimestamp(wallMs).slice(0, 23)}Z`;
}

function byName<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function refusalOf(book: ResourceBook, name: string, print: PrintResource): Json {
  const refused = book.refused.get(name);
  if (refused === undefined) return {};
  return {
    error_state: {
      failed_configuration: print(book.typeUrl, refused.bytes),
      last_update_attempt: time(refused.wallMs),
      details: refused.reason,
      version_info: refused.version,
    },
  };
}

/** Names that were accepted or refused; a resource may have only ever been refused. */
function namesOf(book: ResourceBook): readonly string[] {
  return [...new Set([...book.accepted.keys(), ...book.refused.keys()])].sort();
}

function clusters(book: ResourceBook, print: PrintResource): Json {
  return {
    "@type": dumpType("ClustersConfigDump"),
    dynamic_active_clusters: namesOf(book).map((name) => {
      const entry = book.accepted.get(name);
      return {
        ...(entry === undefined
          ? {}
          : {
              version_info: entry.version,
              cluster: print(book.typeUrl, entry.bytes),
              last_updated: time(entry.wallMs),
            }),
        ...refusalOf(book, name, print),
      };
    }),
  };
}

interface ListenerState {
  readonly name: string;
  readonly active_state?: {
    readonly version_info: string;
    readonly listener: unknown;
    readonly last_updated: string;
  };
}

function listenerStates(book: ResourceBook, print: PrintResource): readonly ListenerState[] {
  return namesOf(book).map((name) => {
    const entry = book.accepted.get(name);
    return {
      name,
      ...(entry === undefined
        ? {}
        : {
            active_state: {
              version_info: entry.version,
              listener: print(book.typeUrl, entry.bytes),
              last_updated: time(entry.wallMs),
            },
          }),
      ...refusalOf(book, name, print),
    };
  });
}

/** Routes stand inside the listeners; tools look for them in a list of their own. */
function routes(listed: readonly ListenerState[]): Json {
  return {
    "@type": dumpType("RoutesConfigDump"),
    static_route_configs: listed.flatMap(({ active_state: active }) =>
      active === undefined
        ? []
        : routeConfigs(active.listener).map((route_config) => ({
            route_config,
            last_updated: active.last_updated,
          })),
    ),
  };
}

function endpoints(book: ResourceBook, print: PrintResource): Json {
  return {
    "@type": dumpType("EndpointsConfigDump"),
    dynamic_endpoint_configs: byName(book.accepted).map(([name, entry]) => ({
      version_info: entry.version,
      endpoint_config: print(book.typeUrl, entry.bytes),
      last_updated: time(entry.wallMs),
      ...refusalOf(book, name, print),
    })),
  };
}

const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
/** What Envoy prints in place of a key. */
const redacted = Buffer.from("[redacted]").toString("base64");

function pem(certificates: readonly CertificateInfo[]): string {
  return Buffer.from(certificates.map((each) => each.pem).join("")).toString("base64");
}

function secrets(snapshots: readonly SecretSnapshot[]): Json {
  const active: Json[] = [];
  const warming: Json[] = [];
  for (const { state } of snapshots) {
    if (state.kind !== "available") {
      warming.push({ name: "default" }, { name: "ROOTCA" });
      continue;
    }
    const { leaf, intermediates, roots } = state.certificate;
    const last_updated = time(leaf.notBeforeMs);
    active.push(
      {
        name: "default",
        version_info: leaf.serialDecimal,
        last_updated,
        secret: {
          "@type": secretType,
          name: "default",
          tls_certificate: {
            certificate_chain: { inline_bytes: pem([leaf, ...intermediates]) },
            private_key: { inline_bytes: redacted },
          },
        },
      },
      {
        name: "ROOTCA",
        version_info: leaf.serialDecimal,
        last_updated,
        secret: {
          "@type": secretType,
          name: "ROOTCA",
          validation_context: { trusted_ca: { inline_bytes: pem(roots) } },
        },
      },
    );
  }
  return {
    "@type": dumpType("SecretsConfigDump"),
    dynamic_active_secrets: active,
    dynamic_warming_secrets: warming,
  };
}

function bootstrap({ node, version }: DumpSources): Json {
  return {
    "@type": dumpType("BootstrapConfigDump"),
    bootstrap: {
      node: { ...node, user_agent_name: "ambit", user_agent_version: version },
    },
  };
}

/** What has no effect here, by resource: nothing is read past in silence. */
function decorations({ books }: DumpSources): Json {
  const listed: Record<string, readonly string[]> = {};
  for (const book of Object.values(books))
    for (const [name, entry] of byName(book.accepted))
      if (entry.decorations.length > 0) listed[name] = entry.decorations;
  return listed;
}

export function configDump(sources: DumpSources, options: DumpOptions, print: PrintResource): Json {
  const { books } = sources;
  const listeners = listenerStates(books.listeners, print);
  const sections: readonly Json[] = [
    bootstrap(sources),
    clusters(books.clusters, print),
    ...(options.endpoints ? [endpoints(books.endpoints, print)] : []),
    { "@type": dumpType("ListenersConfigDump"), dynamic_listeners: listeners },
    routes(listeners),
    secrets(sources.secrets()),
  ];
  if (options.resource === undefined)
    return { configs: sections, ambit: { read_past: decorations(sources) } };
  const list = sections.map((section) => section[options.resource ?? ""]).find(Array.isArray);
  return { configs: list ?? [] };
}
