/**
 * A plain Envoy, driven by what our own control plane makes of a case's objects, does what the case's table says: the tables
 * describe the reference and not ourselves. Looks that it is not held to say why.
 */
import "../../../support/sandbox.ts";
import { test } from "node:test";
import { withoutEnvoy } from "../../../support/envoy.ts";
import { runTables } from "./run.ts";

if (withoutEnvoy === false) runTables({ source: "own", by: "envoy" });
else test("a plain Envoy does what the tables say", { skip: withoutEnvoy }, () => undefined);
