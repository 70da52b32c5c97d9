/**
 * The command line that the reference's pod template passes: `proxy waypoint --domain ... --serviceCluster ...` (wire/waypoint.md
 * section 1.6). Whatever else stands there belongs to programs that this one replaces, and is read past.
 */

export interface PodArguments {
  /** `<namespace>.svc.<cluster domain>`. */
  readonly domain: string | undefined;
  readonly serviceCluster: string | undefined;
  readonly logAsJson: boolean;
  /** Directives of our own form. */
  readonly logFilter: string | undefined;
  /** What is wrong with the command line. */
  readonly problems: readonly string[];
}

/** Flags with a value, as `--flag value` or `--flag=value`; their values must not be mistaken for verbs. */
const ignoredWithValue: ReadonlySet<string> = new Set([
  "--proxyLogLevel",
  "--proxyComponentLogLevel",
  "--outlierLogPath",
  "--concurrency",
  "--stsPort",
  "--tokenManagerPlugin",
  "--templateFile",
  "--meshConfig",
  "--profiling",
  "--log_target",
  "--log_caller",
  "--log_stacktrace_level",
  "--log_rotate",
  "--vklog",
]);

const levels: Readonly<Record<string, string>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  critical: "error",
  fatal: "error",
  none: "off",
  off: "off",
  trace: "trace",
};

/** `default:info,xds:debug` to `info,xds=debug`; scopes that we do not have do no harm. */
function directives(text: string, problems: string[]): string | undefined {
  const parts: string[] = [];
  for (const part of text.split(",").filter((each) => each !== "")) {
    const colon = part.lastIndexOf(":");
    const scope = colon < 0 ? "default" : part.slice(0, colon);
    const level = levels[part.slice(colon + 1).toLowerCase()];
    if (level === undefined)
      problems.push(`--log_output_level: unknown level in ${JSON.stringify(part)}`);
    else parts.push(scope === "default" || scope === "all" ? level : `${scope}=${level}`);
  }
  return parts.length === 0 ? undefined : parts.join(",");
}

interface Words {
  readonly verbs: readonly string[];
  /** Flags without a value have the empty text. */
  readonly flags: ReadonlyMap<string, string>;
}

function split(args: readonly string[]): Words {
  const flags = new Map<string, string>();
  const verbs: string[] = [];
  let waiting: string | undefined;
  for (const word of args) {
    const equals = word.indexOf("=");
    if (waiting !== undefined) {
      flags.set(waiting, word);
      waiting = undefined;
    } else if (!word.startsWith("-")) verbs.push(word);
    else if (equals >= 0) flags.set(word.slice(0, equals), word.slice(equals + 1));
    else {
      flags.set(word, "");
      if (valued.has(word) || ignoredWithValue.has(word)) waiting = word;
    }
  }
  return { verbs, flags };
}

export function readArguments(args: readonly string[]): PodArguments {
  const problems: string[] = [];
  const { verbs, flags } = split(args);
  // `proxy waypoint` from the template; `waypoint` alone when the verb before it was ours.
  for (const verb of verbs)
    if (verb !== "proxy" && verb !== "waypoint")
      problems.push(`unexpected argument ${JSON.stringify(verb)}; expected proxy waypoint`);
  const level = flags.get("--log_output_level");
  return {
    domain: flags.get("--domain"),
    serviceCluster: flags.get("--serviceCluster"),
    logAsJson: ["", "true"].includes(flags.get("--log_as_json") ?? "false"),
    logFilter: level === undefined ? undefined : directives(level, problems),
    problems,
  };
}

const valued: ReadonlySet<string> = new Set(["--domain", "--serviceCluster", "--log_output_level"]);
