import "../../support/sandbox.ts";
import { playWithReferenceOn } from "./play.ts";

playWithReferenceOn(["node1", "node2"]);
