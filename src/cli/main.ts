/** The one executable: `ambit <role or tool>`. Each command is loaded only when it is called, so no role pays for another. */
import { type Command, CommanderError } from "commander";
import { describeError } from "../shared/base/errors.ts";
import { type CommandIo, type CommandModule, UsageFailure } from "./command.ts";

interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

const commands: Readonly<Record<string, CommandEntry>> = {
  bench: {
    summary: "measure what the mesh costs on this machine",
    load: () => import("./bench.ts"),
  },
  controlplane: {
    summary: "tell the mesh's proxies what they must know and issue their certificates",
    load: () => import("./controlplane.ts"),
  },
  demo: {
    summary: "bring up a mesh in namespaces on this machine, check it and show it",
    load: () => import("./demo.ts"),
  },
  nodeagent: {
    summary: "capture the pods of a node and hand them to its ztunnel",
    load: () => import("./nodeagent.ts"),
  },
  status: {
    summary: "show what the mesh makes of a file or folder of objects",
    load: () => import("./status.ts"),
  },
  token: {
    summary: "print a bearer token for a component of the mesh",
    load: () => import("./token.ts"),
  },
  waypoint: {
    summary: "route, judge and count the requests of a namespace's services",
    load: () => import("./waypoint.ts"),
  },
  why: {
    summary: "say why a connection gets through or does not, and what would change it",
    load: () => import("./why.ts"),
  },
  ztunnel: {
    summary: "carry the traffic of a node's pods through the mesh",
    load: () => import("./ztunnel.ts"),
  },
};

function helpText(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const rows = Object.entries(commands).map(
    ([name, entry]) => `  ${name.padEnd(width)}  ${entry.summary}`,
  );
  return `Usage: ambit <command> [options]\n\nCommands:\n${rows.join("\n")}\n\nRun ambit <command> --help for its options.\n`;
}

/** The real process: its environment, streams and signals. */
export function systemIo(entry: URL): CommandIo {
  const shutdown = new AbortController();
  const kill = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (shutdown.signal.aborted && signal === "SIGINT") kill.abort(new Error("second SIGINT"));
    shutdown.abort(new Error(signal));
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  return {
    env: process.env,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    shutdown: shutdown.signal,
    kill: kill.signal,
    entry,
  };
}

function exitCodeOf(thrown: unknown, io: CommandIo): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2;
  io.stderr(`ambit: ${describeError(thrown)}\n`);
  return thrown instanceof UsageFailure ? 2 : 1;
}

/** Images of the reference are told `proxy <role> …`; where one of ours is named in their place, it understands. */
function standIn(args: readonly string[]): readonly string[] {
  const [first, role, ...rest] = args;
  return first === "proxy" && (role === "waypoint" || role === "ztunnel")
    ? [role, first, ...rest]
    : args;
}

/** Runs one command line (without the program name) to its end; resolves to the exit code. */
export async function main(args: readonly string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = standIn(args);
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    (name === undefined ? io.stderr : io.stdout)(helpText());
    return name === undefined ? 2 : 0;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    io.stderr(`ambit: unknown command ${JSON.stringify(name)}\n${helpText()}`);
    return 2;
  }
  try {
    const module = await entry.load();
    const command: Command = module
      .build(io)
      .name(`ambit ${name}`)
      .description(entry.summary)
      .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
      .exitOverride();
    await command.parseAsync(rest, { from: "user" });
    return 0;
  } catch (thrown) {
    return exitCodeOf(thrown, io);
  }
}
