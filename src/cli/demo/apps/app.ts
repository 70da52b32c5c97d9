/** A shop application: one process in one pod, told what to do over its message channel. Knows nothing of a mesh. */
import { lookup } from "node:dns/promises";
import { describeError } from "../../../shared/base/errors.ts";
import { burst, download, sendRequest } from "./http-client.ts";
import { HttpServer } from "./http-server.ts";
import { churn, SteadyLoad } from "./load.ts";
import type { AppCalls, AppConfig, AppMessage, CallMessage, CallName } from "./protocol.ts";
import { get, transfer } from "./requests.ts";
import { startServers } from "./servers.ts";
import { Sessions } from "./sessions.ts";

type Handlers = {
  readonly [K in CallName]: (
    input: AppCalls[K]["input"],
  ) => Promise<AppCalls[K]["output"]> | AppCalls[K]["output"];
};

function handlersOf(
  config: AppConfig,
  http: HttpServer,
  send: (message: AppMessage) => void,
): Handlers {
  const sessions = new Sessions((end) => send({ kind: "session-end", end }));
  const loads = new Map<string, SteadyLoad>();
  return {
    get: (target) => get(target),
    request: (spec) => sendRequest(spec),
    burst: ({ count, concurrency, ...spec }) => burst(spec, count, concurrency),
    download: ({ host, port, bytes, pauseEveryBytes, pauseMs }) =>
      download({ host, port }, bytes, pauseEveryBytes, pauseMs),
    behave: (behavior) => http.behave(behavior),
    seen: ({ path }) => ({ requests: http.seen(path) }),
    transfer: ({ host, port, bytes }) => transfer({ host, port }, bytes),
    open: ({ session, host, port }) => sessions.open(session, { host, port }),
    ask: ({ session, question }) => sessions.ask(session, question),
    close: ({ session }) => sessions.close(session),
    flood: ({ session, host, port, quietMs, maxBytes }) =>
      sessions.flood(session, { host, port }, quietMs, maxBytes),
    churn: ({ host, port, connections, concurrency }) =>
      churn({ host, port }, connections, concurrency),
    loadStart: ({ load, targets, perSecond, keepAlive = false }) => {
      const steady = new SteadyLoad(targets, { perSecond, keepAlive }, (target, pod, reason = "") =>
        send({
          kind: "request",
          from: config.pod,
          to: pod ?? `${target.host}:${target.port}`,
          ok: reason === "",
          reason,
        }),
      );
      loads.set(load, steady);
      return null;
    },
    loadEnd: async ({ load }) => {
      const steady = loads.get(load);
      if (steady === undefined) throw new Error(`no load "${load}" runs`);
      loads.delete(load);
      return await steady.end();
    },
    resolve: async ({ name }) => {
      const found = await lookup(name, { all: true, family: 4 });
      return { addresses: found.map(({ address }) => address) };
    },
  };
}

/** Runs until the channel closes, which it does with the world. */
export async function runApp(config: AppConfig): Promise<void> {
  const send = (message: AppMessage): void => {
    if (process.connected) process.send?.(message);
  };
  const http = new HttpServer(config);
  const handlers = handlersOf(config, http, send);
  const answer = async <K extends CallName>({ id, call, input }: CallMessage<K>): Promise<void> => {
    try {
      send({ kind: "answer", id, output: await handlers[call](input) });
    } catch (thrown) {
      send({ kind: "failure", id, reason: describeError(thrown) });
    }
  };
  await startServers(config, http.server);
  const closed = new Promise<void>((resolve) => process.once("disconnect", () => resolve()));
  process.on("message", (message) => void answer(message as CallMessage));
  send({ kind: "ready" });
  await closed;
  process.exit(0);
}
