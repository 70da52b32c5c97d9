/** The half of the demo that stays outside the sandbox: starts it, serves the page, and takes it down with itself. */
import type { ChildProcess } from "node:child_process";
import { systemClock } from "../../shared/base/clock.ts";
import { CommandFailure, type CommandIo } from "../command.ts";
import { probeSandbox, SandboxUnavailable, startInSandbox } from "../world/sandbox.ts";
import { PageServer } from "./page-server.ts";
import type { PictureState } from "./picture.ts";

const TOOLS = ["ip", "nft"];
const PARENT_LOOK_MS = 500;
/** What the inside may take to end after it was told to. */
const SHUTDOWN_DEADLINE_MS = 15_000;

/** Runs `program` inside a sandbox; rejects when it fails. */
export async function runOutside(
  io: CommandIo,
  program: readonly string[],
  page: { readonly port: number } | undefined,
): Promise<void> {
  const kind = sandboxKind();
  const server = page === undefined ? undefined : await PageServer.open(page.port);
  if (server !== undefined) io.stderr(`ambit: the picture is at ${server.url}\n`);
  const child = startInSandbox(kind, program, ["inherit", "inherit", "inherit", "ipc"]);
  child.on("message", (message) => server?.publish(message as PictureState));
  const watch = endWithParent(child);
  const onShutdown = (): void => {
    child.send({ kind: "shutdown" });
    systemClock.after(SHUTDOWN_DEADLINE_MS, () => child.kill("SIGKILL"));
  };
  io.shutdown.addEventListener("abort", onShutdown, { once: true });
  io.kill.addEventListener("abort", () => child.kill("SIGKILL"), { once: true });
  const code = await new Promise<number>((resolve) =>
    child.once("exit", (exitCode) => resolve(exitCode ?? 1)),
  );
  watch();
  await server?.close();
  // What failed stands on stderr already.
  if (code !== 0) process.exitCode = code;
}

function sandboxKind(): ReturnType<typeof probeSandbox> {
  try {
    return probeSandbox(TOOLS);
  } catch (thrown) {
    if (thrown instanceof SandboxUnavailable)
      throw new CommandFailure(`Cannot run the demo: ${thrown.message}`, { cause: thrown });
    throw thrown;
  }
}

/**
 * `npm run` does not pass on a SIGKILL that it gets, so a new parent means that nobody waits for us any more. The
 * sandbox dies with this process in any case.
 */
function endWithParent(child: ChildProcess): () => void {
  const parent = process.ppid;
  const timer = systemClock.every(PARENT_LOOK_MS, () => {
    if (process.ppid !== parent) child.kill("SIGKILL");
  });
  return () => timer.cancel();
}
