/** What our own control plane makes of a case's objects drives our waypoint to what the case's table says. */
import "../../../support/sandbox.ts";
import { runTables } from "./run.ts";

runTables({ source: "own", by: "ambit" });
