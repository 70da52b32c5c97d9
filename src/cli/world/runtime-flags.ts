/** V8 flags of a role, as bin/ambit and the image give them (docs/performance.md). */

/**
 * Roles that hold the objects of the whole mesh: a young generation of 1 MB would make every change cost twice as much. A
 * waypoint makes objects for each request, which are to die young.
 */
const holdsObjects: ReadonlySet<string> = new Set(["controlplane", "nodeagent", "waypoint"]);

/** `program` is node, its flags and the script; the command line for a role repeats a flag, and the last one counts. */
export function roleCommand(program: readonly string[], role: string): readonly string[] {
  if (!holdsObjects.has(role)) return [...program, role];
  return [...program.slice(0, -1), "--max-semi-space-size=8", ...program.slice(-1), role];
}
