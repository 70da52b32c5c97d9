/** The admin paths that every role has: index, log levels, shutdown, profiles (wire/ztunnel.md section 9.3). */
import type { Clock } from "../base/clock.ts";
import type { LogFilter } from "../telemetry/logger.ts";
import { type AdminHandler, textAnswer } from "./http-server.ts";
import { profileRoutes } from "./profile-routes.ts";

export interface OperatorDeps {
  readonly filter: LogFilter;
  /** Directives that `?reset` goes back to. */
  readonly defaultFilter: string;
  readonly clock: Clock;
  /** Starts the graceful shutdown. */
  readonly quit: () => void;
}

const loggingUsage = `usage: POST /logging\t\t\t\t\t\t(To list current level)
usage: POST /logging?level=<level>\t\t\t\t(To change global levels)
usage: POST /logging?level={mod1}={level1},{mod2}={level2}\t(To change specific mods' logging level)

hint: loglevel:\terror|warn|info|debug|trace|off
hint: mod_name:\tthe module name, i.e. access
`;

function logging(deps: OperatorDeps): AdminHandler {
  return ({ method, query }) => {
    if (method !== "POST") return textAnswer(405, `Invalid HTTP method\n${loggingUsage}`);
    if (query.has("reset")) deps.filter.reset(deps.defaultFilter);
    const level = query.get("level");
    if (level !== null) {
      const problem = deps.filter.apply(level);
      if (problem !== undefined)
        return textAnswer(400, `Invalid level: ${problem}\n${loggingUsage}`);
    }
    return textAnswer(200, `current log level is ${deps.filter.toString()}\n`);
  };
}

export function operatorRoutes(deps: OperatorDeps): Readonly<Record<string, AdminHandler>> {
  return {
    "/logging": logging(deps),
    "/quitquitquit": ({ method }) => {
      if (method !== "POST") return textAnswer(405, "Invalid HTTP method\n");
      deps.quit();
      return textAnswer(200, "shutdown now\n");
    },
    ...profileRoutes(deps.clock),
  };
}

/** `/`: what else there is. */
export function indexRoute(
  title: string,
  routes: Readonly<Record<string, AdminHandler>>,
): Readonly<Record<string, AdminHandler>> {
  const items = Object.keys(routes)
    .sort()
    .map((path) => `<li><a href="${path.slice(1)}">${path.slice(1)}</a></li>`)
    .join("\n");
  const body = `<!doctype html>\n<title>${title}</title>\n<h1>${title}</h1>\n<ul>\n${items}\n</ul>\n`;
  return { "/": () => ({ status: 200, body, contentType: "text/html; charset=utf-8" }) };
}
