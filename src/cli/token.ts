/** `ambit token`: a bearer token for a component of the mesh, signed by the control plane's state directory. */
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../shared/base/clock.ts";
import { loadOrCreateKey, TOKEN_KEY_FILE } from "../shared/identity/key-file.ts";
import { parseServiceAccount, signToken } from "../shared/identity/token.ts";
import type { CommandIo } from "./command.ts";

const MAX_TTL_MS = 10 * 365 * 24 * 3_600_000;
const unitMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 24 * 3_600_000,
};

/** `90s`, `30m`, `12h`, `1h30m` or `7d` in milliseconds. */
export function parseTtl(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  const total = parts.reduce(
    (sum, [, count, unit = ""]) => sum + Number(count) * (unitMs[unit] ?? Number.NaN),
    0,
  );
  const whole = parts.map(([part]) => part).join("") === text;
  if (!whole || !(total >= 1000 && total <= MAX_TTL_MS))
    throw new InvalidArgumentError("expected a duration like 90s, 30m or 12h");
  return total;
}

function parseAccount(text: string): { namespace: string; serviceAccount: string } {
  const account = parseServiceAccount(text);
  if (account === undefined) throw new InvalidArgumentError("expected <namespace>/<name>");
  return account;
}

interface TokenArguments {
  readonly stateDir: string;
  readonly serviceAccount: { namespace: string; serviceAccount: string };
  readonly node?: string;
  readonly ttl: number;
}

export function build(io: CommandIo): Command {
  return new Command()
    .requiredOption("--state-dir <dir>", "the control plane's state directory")
    .requiredOption("--service-account <ns/name>", "who the token is for", parseAccount)
    .option("--node <node>", "bind the token to this node (node proxies need it)")
    .addOption(
      new Option("--ttl <duration>", "how long it is valid, like 90s, 30m or 7d")
        .argParser(parseTtl)
        .default(12 * 3_600_000, "12h"),
    )
    .action(async (options: TokenArguments) => {
      const key = loadOrCreateKey(join(options.stateDir, TOKEN_KEY_FILE));
      const token = await signToken(
        key,
        { ...options.serviceAccount, node: options.node },
        { issuedAtMs: systemClock.wallMs(), ttlMs: options.ttl },
      );
      io.stdout(`${token}\n`);
    });
}
