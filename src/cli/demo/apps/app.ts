/** A shop application: one process in one pod, told what to do over its message channel. Knows nothing of a mesh. */
import { lookup } from "node:dns/promises";
import { describeError } from "../../../shared/base/errors.ts";
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

function handlersOf(config: AppConfig, send: (message: AppMessage) => void): Handlers {
  const sessions = new Sessions((end) => send({ kind: "session-end", end }));
  const loads = new Map<string, SteadyLoad>();
  return {
    get: ({ host, port, timeoutMs }) => get({ host, port }, timeoutMs),
    transfer: ({ host, port, bytes }) => transfer({ host, port }, bytes),
    open: ({ session, host, port }) => sessions.open(session, { host, port }),
    ask: ({ session, question }) => sessions.ask(session, question),
    close: ({ session }) => sessions.close(session),
    flood: ({ session, host, port, quietMs, maxBytes }) =>
      sessions.flood(session, { host, port }, quietMs, maxBytes),
    churn: ({ host, port, connections, concurrency }) =>
      churn({ host, port }, connections, concurrency),
    loadStart: ({ load, targets, perSecond }) => {
      const steady = new SteadyLoad(targets, perSecond, (target, pod, reason = "") =>
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
  const handlers = handlersOf(config, send);
  const answer = async <K extends CallName>({ id, call, input }: CallMessage<K>): Promise<void> => {
    try {
      send({ kind: "answer", id, output: await handlers[call](input) });
    } catch (thrown) {
      send({ kind: "failure", id, reason: describeError(thrown) });
    }
  };
  await startServers(config);
  const closed = new Promise<void>((resolve) => process.once("disconnect", () => resolve()));
  process.on("message", (message) => void answer(message as CallMessage));
  send({ kind: "ready" });
  await closed;
  process.exit(0);
}
