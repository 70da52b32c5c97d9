/** The mesh of the case l7-base with further objects, and ways into what its waypoint is told. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { objectsOf } from "../../../../support/translate.ts";
import {
  plainClusters,
  plainListeners,
  type TestView,
  type ViewOptions,
  viewOf,
} from "../../../../support/waypoint-view.ts";

const base = readFileSync(
  resolve(import.meta.dirname, "../../../../golden/l7-base/input.yaml"),
  "utf8",
);

// Messages as plain data: what is asked for is checked where it is used.
export type Plain = Readonly<Record<string, never>> & {
  readonly [key: string]: Plain;
} & readonly Plain[];

export function view(objects: string, options?: ViewOptions): TestView {
  return viewOf(objectsOf(base, ...(objects === "" ? [] : [objects])), options);
}

function chain(test: TestView, name: string): Plain {
  const main = plainListeners(test)["main_internal"] as Plain;
  const found = [...main["filterChains"]!].find((one) => text(one["name"]!) === name);
  if (found === undefined) throw new Error(`no chain ${name}`);
  return found;
}

function text(value: Plain): string {
  return String(value);
}

function packed(filter: Plain): Plain {
  return filter["configType"]!["value"]!["value"]!;
}

const reviewsHttp = "inbound-vip|80|http|reviews.shop.svc.cluster.local";

export function manager(test: TestView, name = reviewsHttp): Plain {
  return packed(chain(test, name)["filters"]![0]!);
}

export function routes(test: TestView, name = reviewsHttp): readonly Plain[] {
  return [...manager(test, name)["routeSpecifier"]!["value"]!["virtualHosts"]![0]!["routes"]!];
}

/** Names of filters, of the requests of a service or of its connections. */
export function filterNames(test: TestView, name = reviewsHttp): readonly string[] {
  const filters = name.includes("|tcp|")
    ? chain(test, name)["filters"]!
    : manager(test, name)["httpFilters"]!;
  return [...filters].map((filter) => text(filter["name"]!));
}

export function filter(test: TestView, wanted: string, name = reviewsHttp): Plain {
  const filters = name.includes("|tcp|")
    ? chain(test, name)["filters"]!
    : manager(test, name)["httpFilters"]!;
  const found = [...filters].find((one) => text(one["name"]!) === wanted);
  if (found === undefined) throw new Error(`no filter ${wanted}`);
  return packed(found);
}

export function clusterNames(test: TestView): readonly string[] {
  return Object.keys(plainClusters(test));
}

/** `prefix /a`, `path /b`, and the like. */
export function matchText(route: Plain): string {
  const path = route["match"]!["pathSpecifier"]!;
  const value = path["value"]!;
  return `${text(path["case"]!)} ${typeof value === "string" ? value : text(value["regex"]!)}`;
}

/** Where a route sends its requests, or what it answers. */
export function targetText(route: Plain): string {
  const action = route["action"]!;
  const value = action["value"]!;
  if (text(action["case"]!) !== "route") return text(action["case"]!);
  const specifier = value["clusterSpecifier"]!;
  if (text(specifier["case"]!) === "cluster") return text(specifier["value"]!);
  return [...specifier["value"]!["clusters"]!]
    .map((one) => `${text(one["name"]!)} ${text(one["weight"]!)}`)
    .join(", ");
}
