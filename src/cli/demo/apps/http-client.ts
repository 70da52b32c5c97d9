/** HTTP requests of an application, with every answer reported as it is. */
import { Agent, type IncomingMessage, request } from "node:http";
import { systemClock } from "../../../shared/base/clock.ts";
import { describeError } from "../../../shared/base/errors.ts";
import { plainHeaders } from "./http-server.ts";
import {
  type BurstResult,
  CLEAR_TEXT_MARK,
  type Greeting,
  type Reply,
  type RequestSpec,
  STREAM_PATH,
  type Target,
} from "./protocol.ts";

const DEFAULT_TIMEOUT_MS = 5_000;
const KEPT_FAILURES = 20;

/** Without an agent on a connection of its own. Rejects when there is no answer. */
export function sendRequest(spec: RequestSpec, agent?: Agent): Promise<Reply> {
  const { host, port, method = "GET", path = "/", headers = {}, body = "" } = spec;
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = spec;
  const startedMs = systemClock.monotonicMs();
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ host, port, method, path },
        agent: agent ?? false,
        headers: { "x-shop": CLEAR_TEXT_MARK, ...headers },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        readText(response).then((text) => {
          resolve({
            status: response.statusCode ?? 0,
            headers: plainHeaders(response.headers),
            body: text,
            greeting: greetingOf(text),
            tookMs: systemClock.monotonicMs() - startedMs,
          });
        }, reject);
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const piece of response) text += String(piece);
  return text;
}

/** Only an application says who it is. */
function greetingOf(text: string): Greeting | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const greeting = JSON.parse(text) as Greeting;
    return greeting.mark === CLEAR_TEXT_MARK ? greeting : undefined;
  } catch {
    return undefined;
  }
}

export async function burst(
  spec: RequestSpec,
  count: number,
  concurrency: number,
): Promise<BurstResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const byStatus: Record<string, number> = {};
  const byPod: Record<string, number> = {};
  const failures: string[] = [];
  const startedMs = systemClock.monotonicMs();
  let longestMs = 0;
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0)
      try {
        const { status, greeting, tookMs } = await sendRequest(spec, agent);
        longestMs = Math.max(longestMs, tookMs);
        byStatus[status] = (byStatus[status] ?? 0) + 1;
        if (greeting !== undefined) byPod[greeting.pod] = (byPod[greeting.pod] ?? 0) + 1;
      } catch (thrown) {
        byStatus["none"] = (byStatus["none"] ?? 0) + 1;
        if (failures.length < KEPT_FAILURES) failures.push(describeError(thrown));
      }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
  const tookMs = systemClock.monotonicMs() - startedMs;
  return { byStatus, byPod, failures, longestMs: Math.round(longestMs), tookMs };
}

/** Counts what arrives; nothing is read during a pause. */
export function download(
  { host, port }: Target,
  bytes: number,
  pauseEveryBytes: number,
  pauseMs: number,
): Promise<{ bytes: number; tookMs: number }> {
  const startedMs = systemClock.monotonicMs();
  return new Promise((resolve, reject) => {
    const call = request(
      { host, port, path: `${STREAM_PATH}${bytes}`, agent: false },
      (response) => {
        count(response, pauseEveryBytes, pauseMs).then(
          (received) => resolve({ bytes: received, tookMs: systemClock.monotonicMs() - startedMs }),
          reject,
        );
      },
    );
    call.on("error", reject);
    call.end();
  });
}

async function count(
  response: IncomingMessage,
  pauseEveryBytes: number,
  pauseMs: number,
): Promise<number> {
  let received = 0;
  let sincePause = 0;
  for await (const chunk of response) {
    const { length } = chunk as Buffer;
    received += length;
    sincePause += length;
    if (sincePause < pauseEveryBytes) continue;
    sincePause = 0;
    await systemClock.sleep(pauseMs);
  }
  return received;
}
