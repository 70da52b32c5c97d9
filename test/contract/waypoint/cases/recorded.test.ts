/** What the reference sent drives our waypoint to what each case's table says. */
import "../../../support/sandbox.ts";
import { runTables } from "./run.ts";

runTables({ source: "recorded", by: "ambit" });
