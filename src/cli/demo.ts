/** `ambit demo`: a mesh on this machine, in namespaces, with real traffic; shown, checked, and gone afterwards. */
import { Command, InvalidArgumentError } from "commander";
import type { CommandIo } from "./command.ts";
import type { AppConfig } from "./demo/apps/protocol.ts";
import type { Display } from "./demo/inside.ts";
import { isInsideSandbox } from "./world/sandbox.ts";

interface Options {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly page: number | false;
  readonly only?: string;
  readonly app?: string;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError("a port is a number from 0 to 65535");
  return port;
}

/** The command line of this very program, for the processes that it starts. */
function ownProgram(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ""];
}

async function openDisplay(io: CommandIo, options: Options): Promise<Display> {
  const { PaintedDisplay, PlainDisplay, RelayedDisplay } = await import("./demo/display.ts");
  const { stdout } = process;
  const paints = stdout.isTTY === true && options.json !== true && io.env["TERM"] !== "dumb";
  const display = paints
    ? new PaintedDisplay({
        write: io.stdout,
        columns: () => stdout.columns,
        rows: () => stdout.rows,
        color: io.env["NO_COLOR"] === undefined,
      })
    : new PlainDisplay(options.json === true ? io.stderr : io.stdout);
  return new RelayedDisplay(display, (state) => {
    if (process.connected) process.send?.(state);
  });
}

interface Outside {
  /** Aborts when this process or the one outside is told to end. */
  readonly shutdown: AbortSignal;
  /** Lets go of the channel, which would keep this process alive. */
  readonly release: () => void;
}

/** Ends with the process outside: on its word, or at once when it is gone. */
function followOutside(io: CommandIo): Outside {
  const told = new AbortController();
  const onGone = (): never => process.exit(1);
  process.on("message", () => told.abort(new Error("told to end")));
  process.once("disconnect", onGone);
  return {
    shutdown: AbortSignal.any([io.shutdown, told.signal]),
    release: () => {
      process.off("disconnect", onGone);
      process.disconnect?.();
    },
  };
}

/** A wrong name is told before anything is set up. */
async function checkNames(only: readonly string[]): Promise<void> {
  if (only.length === 0) return;
  const [{ chooseScenes }, { play }] = await Promise.all([
    import("./demo/choice.ts"),
    import("./demo/scenes/all.ts"),
  ]);
  chooseScenes(only, play);
}

async function run(io: CommandIo, options: Options): Promise<void> {
  if (options.app !== undefined) {
    const { runApp } = await import("./demo/apps/app.ts");
    return runApp(JSON.parse(options.app) as AppConfig);
  }
  const program = ownProgram();
  const only = options.only?.split(",") ?? [];
  if (!isInsideSandbox()) {
    await checkNames(only);
    const { runOutside } = await import("./demo/outside.ts");
    const page = options.page === false ? undefined : { port: options.page };
    return runOutside(io, [...program, ...process.argv.slice(2)], page);
  }
  const { runInside } = await import("./demo/inside.ts");
  const { shutdown, release } = followOutside(io);
  const inside = {
    once: options.once === true,
    json: options.json === true,
    only,
  };
  try {
    await runInside({ ...io, shutdown }, inside, program, await openDisplay(io, options));
  } finally {
    release();
  }
}

export function build(io: CommandIo): Command {
  return new Command()
    .option("--once", "end after the scenes")
    .option("--json", "print the checks as JSON on standard output, and nothing else there")
    .option("--page <port>", "port of the page on loopback; 0 picks one", parsePort, 0)
    .option("--no-page", "serve no page")
    .option(
      "--only <names>",
      "play only these scenes, and those that they build on (names as --json prints them, with commas between)",
    )
    .addOption(new Command().createOption("--app <config>").hideHelp())
    .action((options: Options) => run(io, options));
}
