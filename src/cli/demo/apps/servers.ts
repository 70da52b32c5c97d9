/** The listening half of a shop application: plain servers that know nothing of a mesh. */
import { createServer, type Server, type Socket } from "node:net";
import { plainAddress } from "./http-server.ts";
import {
  type AppConfig,
  CLEAR_TEXT_MARK,
  DATABASE_PORT,
  ECHO_PORT,
  HTTP_PORT,
  STALL_PORT,
} from "./protocol.ts";

/** A peer that goes away in the middle is no event for a server of this kind. */
function ignoreErrors(socket: Socket): Socket {
  return socket.on("error", () => socket.destroy());
}

function echoServer(): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    ignoreErrors(socket).pipe(socket);
  });
}

function stallServer(): Server {
  return createServer({ pauseOnConnect: true }, ignoreErrors);
}

/** A database that greets before it is asked anything, then answers line by line. */
function databaseServer(config: AppConfig): Server {
  return createServer({ noDelay: true }, (socket) => {
    ignoreErrors(socket).setEncoding("utf8");
    socket.write(`${CLEAR_TEXT_MARK} ${config.pod} ready for ${plainAddress(socket)}\n`);
    let pending = "";
    socket.on("data", (text) => {
      const lines = (pending + String(text)).split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) socket.write(`${CLEAR_TEXT_MARK} answer to ${line}\n`);
    });
  });
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "::", port, backlog: 1024 }, () => resolve());
  });
}

/** Opens all of them; resolves when they listen. */
export async function startServers(config: AppConfig, http: Server): Promise<void> {
  await listen(http, HTTP_PORT);
  await listen(echoServer(), ECHO_PORT);
  await listen(stallServer(), STALL_PORT);
  if (config.app === "db") await listen(databaseServer(config), DATABASE_PORT);
}
