/**
 * A host outside of the mesh, for a file inside a sandbox: its name is in the hosts file and its authority among those that the
 * machine trusts, both replaced for this sandbox only.
 */
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { issueLeaf } from "../../../../src/shared/identity/issue.ts";
import { aroundNow, newRoot } from "../../../unit/shared/identity/pki.ts";
import type { CaseMesh } from "./mesh.ts";

const ip = "192.0.2.10";
const trusted = "/etc/ssl/certs/ca-certificates.crt";

/** Names that clients asked for in their handshakes. */
export const serverNames: string[] = [];

/** Answers at `host`:443 with what it was asked. */
export async function externalHost(mesh: CaseMesh, host: string): Promise<void> {
  const { stage } = mesh;
  stage.addIps(ip);
  const root = newRoot("outside");
  replace("/etc/hosts", `127.0.0.1 localhost\n${ip} ${host}\n`);
  replace(trusted, root.certificate.pem);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const leaf = issueLeaf(root, publicKey, { dns: [host] }, aroundNow());
  const server = createServer(
    {
      cert: leaf.pem,
      key: privateKey.export({ type: "pkcs8", format: "pem" }),
      ALPNProtocols: ["http/1.1"],
      SNICallback: (name, done) => {
        serverNames.push(name);
        done(null);
      },
    },
    (request, response) => {
      const { method, url: path, headers } = request;
      response.end(
        JSON.stringify({
          pod: "outside",
          port: 443,
          protocol: "HTTP/1.1",
          method,
          path,
          host: headers.host,
          headers,
          body: "",
        }),
      );
    },
  );
  server.on("tlsClientError", () => undefined);
  await stage.listen(server as unknown as Server, ip, 443);
}

/** Over the file of the machine, where only this sandbox sees it. */
function replace(path: string, text: string): void {
  const dir = mkdtempSync(join(tmpdir(), "ambit-external-"));
  const file = join(dir, "file");
  writeFileSync(file, text);
  execFileSync("mount", ["--bind", file, path]);
  if (readFileSync(path, "utf8") !== text) throw new Error(`${path} was not replaced`);
  rmSync(dir, { recursive: true });
}
