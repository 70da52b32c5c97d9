/** `/clusters`: endpoints and their health, as text and in the JSON form that istioctl proxy-config endpoints reads. */
import type { JsonValue } from "@bufbuild/protobuf";
import { type AdminHandler, jsonAnswer, textAnswer } from "../../shared/admin/http-server.ts";
import type { ResourceBook } from "../xds/book.ts";
import type { PrintResource } from "../xds/print-resource.ts";

/** What the live clusters add to what the control plane said, by cluster and printed address. */
export type EndpointHealthOf = (
  cluster: string,
  address: string,
) => { readonly ejected: boolean } | undefined;

type Json = Readonly<Record<string, unknown>>;

function object(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function addressText(address: Json): string {
  const socket = object(address["socket_address"]);
  if ("port_value" in socket) return `${String(socket["address"])}:${String(socket["port_value"])}`;
  const internal = object(address["envoy_internal_address"]);
  return `envoy://${String(internal["server_listener_name"])}/${String(internal["endpoint_id"])}`;
}

interface Host {
  readonly address: Json;
  readonly text: string;
  readonly health: string;
  readonly weight: number;
  readonly priority: number;
  readonly locality: Json;
  readonly ejected: boolean;
}

function hostsOf(
  assignment: JsonValue,
  cluster: string,
  health: EndpointHealthOf,
): readonly Host[] {
  return list(object(assignment)["endpoints"]).flatMap((locality) =>
    list(locality["lb_endpoints"]).map((endpoint): Host => {
      const address = object(object(endpoint["endpoint"])["address"]);
      const text = addressText(address);
      return {
        address,
        text,
        health: String(endpoint["health_status"] ?? "HEALTHY"),
        weight: Number(endpoint["load_balancing_weight"] ?? 1),
        priority: Number(locality["priority"] ?? 0),
        locality: object(locality["locality"]),
        ejected: health(cluster, text)?.ejected ?? false,
      };
    }),
  );
}

function jsonHost(host: Host): Json {
  return {
    address: host.address,
    health_status: {
      eds_health_status: host.health,
      ...(host.ejected ? { failed_outlier_check: true } : {}),
    },
    weight: host.weight,
    priority: host.priority,
    locality: host.locality,
  };
}

function textHost(name: string, host: Host): string {
  const flags = [
    ...(host.ejected ? ["/failed_outlier_check"] : []),
    ...(host.health === "UNHEALTHY" ? ["/failed_eds_health"] : []),
  ].join("");
  const { region = "", zone = "", sub_zone = "" } = host.locality;
  return [
    `health_flags::${flags === "" ? "healthy" : flags}`,
    `weight::${host.weight}`,
    `region::${String(region)}`,
    `zone::${String(zone)}`,
    `sub_zone::${String(sub_zone)}`,
    `priority::${host.priority}`,
  ]
    .map((line) => `${name}::${host.text}::${line}\n`)
    .join("");
}

export function clustersPage(
  books: { readonly clusters: ResourceBook; readonly endpoints: ResourceBook },
  print: () => Promise<PrintResource>,
  health: EndpointHealthOf,
): AdminHandler {
  return async ({ query }) => {
    const printer = await print();
    const clusters = [...books.clusters.accepted.keys()].sort().map((name) => {
      const endpoints = books.endpoints.accepted.get(name);
      const assignment =
        endpoints === undefined ? null : printer(books.endpoints.typeUrl, endpoints.bytes);
      return { name, hosts: hostsOf(assignment, name, health) };
    });
    if (query.get("format") === "json")
      return jsonAnswer({
        cluster_statuses: clusters.map(({ name, hosts }) => ({
          name,
          added_via_api: true,
          host_statuses: hosts.map(jsonHost),
        })),
      });
    return textAnswer(
      200,
      clusters
        .map(
          ({ name, hosts }) =>
            `${name}::added_via_api::true\n${hosts.map((host) => textHost(name, host)).join("")}`,
        )
        .join(""),
    );
  };
}
