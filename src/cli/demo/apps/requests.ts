/** The calling half of a shop application: short exchanges, each on a connection of its own. */
import { createHash } from "node:crypto";
import type { Agent } from "node:http";
import { connect, type Socket } from "node:net";
import { systemClock } from "../../../shared/base/clock.ts";
import { sendRequest } from "./http-client.ts";
import { CLEAR_TEXT_MARK, type GetResult, type Target, type TransferResult } from "./protocol.ts";

const DEFAULT_TIMEOUT_MS = 5_000;
const BLOCK_LINES = 1_024;

/** One HTTP request that has to be answered by an application; rejects with what went wrong in words. */
export async function get(
  target: Target & { readonly timeoutMs?: number },
  agent?: Agent,
): Promise<GetResult> {
  const { status, body, greeting, tookMs } = await sendRequest(target, agent);
  if (status !== 200) throw new Error(`status ${status}: ${body.slice(0, 160)}`);
  if (greeting === undefined) throw new Error(`no greeting but "${body.slice(0, 80)}"`);
  return { greeting, tookMs };
}

/** 64 KiB of readable lines; the first carries the number of the block, so that no two blocks are alike. */
function fillBlock(block: Buffer, number: number): void {
  const lineBytes = block.length / BLOCK_LINES;
  for (let line = 0; line < BLOCK_LINES; line++) {
    const text = `${CLEAR_TEXT_MARK} block ${number} line ${line} `;
    block.write(text.padEnd(lineBytes - 1, ".").concat("\n"), line * lineBytes, "latin1");
  }
}

/** Sends so many bytes, half-closes, reads everything back; both sides are hashed on the way. */
export function transfer(target: Target, bytes: number): Promise<TransferResult> {
  const startedMs = systemClock.monotonicMs();
  const sent = createHash("sha256");
  const received = createHash("sha256");
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true });
    socket.on("error", reject);
    let receivedBytes = 0;
    socket.on("data", (chunk) => {
      receivedBytes += chunk.length;
      received.update(chunk);
    });
    socket.on("end", () => {
      socket.destroy();
      resolve({
        bytes: receivedBytes,
        sentSha256: sent.digest("hex"),
        receivedSha256: received.digest("hex"),
        tookMs: systemClock.monotonicMs() - startedMs,
      });
    });
    sendBlocks(socket, bytes, (block) => sent.update(block));
  });
}

function sendBlocks(socket: Socket, bytes: number, onBlock: (block: Buffer) => void): void {
  let left = bytes;
  let number = 0;
  const step = (): void => {
    while (left > 0) {
      const block = Buffer.alloc(64 * 1024);
      fillBlock(block, number++);
      const piece = block.subarray(0, Math.min(left, block.length));
      onBlock(piece);
      left -= piece.length;
      if (!socket.write(piece) && left > 0) {
        socket.once("drain", step);
        return;
      }
    }
    socket.end();
  };
  step();
}

/** Connects, sends a line to an echo port, waits until it is back and the connection is closed. */
export function exchange(target: Target, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
  const line = `${CLEAR_TEXT_MARK} exchange\n`;
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true, noDelay: true });
    let back = "";
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error("timed out")));
    socket.setEncoding("latin1").on("data", (text) => {
      back += String(text);
    });
    socket.on("error", reject);
    socket.on("end", () => {
      socket.destroy();
      if (back === line) resolve();
      else reject(new Error(`the connection ended after ${back.length} bytes`));
    });
    socket.end(line);
  });
}
