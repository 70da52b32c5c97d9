/** The same routes, the same requests: our selection, rewrites, redirects and header mutations are Envoy's. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { JsonValue } from "@bufbuild/protobuf";
import type { RouteTable } from "../../../../src/waypoint/model/route.ts";
import { describeMatch } from "../../../../src/waypoint/routing/explain.ts";
import { type Envoy, withoutEnvoy } from "../../../support/envoy.ts";
import { Dice, randomConfig, randomRequest } from "./random.ts";
import { askEnvoy, askOurs, Backend, compiledTable, envoyWith, type ProbeRequest } from "./rig.ts";

const CONFIGS = 12;
const ROUTES = 40;
const REQUESTS = 120;
/** ROUTES_SEED names another one. */
const seed = Number(process.env["ROUTES_SEED"] ?? 20_261_121);

const AT_ONCE = 16;

describe("routes as Envoy takes them", { skip: withoutEnvoy }, () => {
  let backend: Backend;
  let envoy: Envoy;
  const dice = new Dice(seed);
  const configs: Record<string, JsonValue> = {};
  for (let index = 0; index < CONFIGS; index++)
    configs[`c${index}`] = randomConfig(dice, `c${index}`, ROUTES);

  before(async () => {
    backend = await Backend.start();
    envoy = await envoyWith(configs, backend.port);
  });

  after(async () => {
    await envoy?.stop();
    backend.stop();
  });

  async function compare(table: RouteTable, port: number, requests: readonly ProbeRequest[]) {
    const failures: string[] = [];
    for (let from = 0; from < requests.length; from += AT_ONCE)
      await Promise.all(
        requests.slice(from, from + AT_ONCE).map(async (request) => {
          const theirs = await askEnvoy(port, request);
          // Envoy's codec refuses it before any route is looked at.
          if (theirs.status === 400) return;
          const ours = askOurs(table, request);
          try {
            assert.deepEqual(ours, theirs);
          } catch {
            failures.push(
              `${JSON.stringify(request)} ${JSON.stringify(routeNamed(table, theirs.route))}\n  Envoy ${JSON.stringify(theirs)}\n  ours  ${JSON.stringify(ours)}`,
            );
          }
        }),
      );
    return failures;
  }

  for (let index = 0; index < CONFIGS; index++)
    test(`random routes ${index}`, async () => {
      const own = new Dice(seed + index);
      const requests = Array.from({ length: REQUESTS }, () => randomRequest(own));
      const table = compiledTable(configs[`c${index}`] as JsonValue);
      const failures = await compare(table, envoy.port(`c${index}`), requests);
      assert.equal(
        failures.length,
        0,
        `${failures.length} differ:\n${failures.slice(0, 5).join("\n")}`,
      );
    });
});

function routeNamed(table: RouteTable, name: string | undefined): unknown {
  const routes = table.virtualHosts.flatMap((host) => host.routes);
  const route = routes.find((one) => one.name === name);
  return route && [describeMatch(route), route.action, route.requestHeaders];
}
