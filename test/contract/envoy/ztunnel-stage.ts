/**
 * A real `ambit ztunnel` in dedicated mode, a real `ambit controlplane` that feeds and certifies it, and Envoy on either
 * side, all in one network namespace of the test's own: the pods of test/golden/l4-base are addresses of its loopback.
 * Import sandbox.ts first.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { isReady } from "../../../src/cli/world/mesh.ts";
import { ManagedProcess } from "../../../src/cli/world/process.ts";
import { createCertificateMethod } from "../../../src/shared/grpc/certificate-service.ts";
import { createSigningRequest } from "../../../src/shared/identity/csr.ts";
import { parseSpiffe } from "../../../src/shared/identity/spiffe.ts";
import { tlsSettings } from "../../../src/shared/identity/tls-context.ts";
import { createWorkloadCertificate } from "../../../src/shared/identity/workload-certificate.ts";
import { readCertificates } from "../../../src/shared/identity/x509.ts";
import {
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
} from "../../../src/shared/wire/gen/istio/v1/auth/ca_pb.js";
import { program } from "../../support/program.ts";
import { spiffe } from "../../unit/shared/identity/pki.ts";
import { collect, eventually } from "./endpoints.ts";
import type { KeyedCertificate } from "./resources.ts";

/** Pods of the objects by name. */
export const pods = {
  web: "10.10.1.10",
  /** Behind the ztunnel under test; its service leads from port 80 to its port 8080. */
  reviews: "10.10.1.11",
  ratings: "10.10.2.12",
  db: "10.10.2.13",
} as const;

/** The virtual address of `ratings`, ports 9080 and 9090. */
export const ratingsVip = "10.96.1.2";

const MARK = 1337;

export class ZtunnelStage {
  readonly dir: string = mkdtempSync(join(tmpdir(), "ambit-envoy-stage-"));
  readonly #processes: ManagedProcess[] = [];

  /** Addresses, redirection of what the pod sends, the control plane. */
  async open(): Promise<void> {
    const addresses = Object.values(pods).map((ip) => `ip addr add ${ip}/32 dev lo`);
    // What istio-cni does inside a pod, for destinations that are pods and services; marked sockets are the ztunnel's own.
    const rules = `table ip test {
      chain output {
        type nat hook output priority -100;
        ip saddr ${pods.reviews} ip daddr { 10.10.0.0/16, 10.96.0.0/16 } meta mark != ${MARK} tcp dport != 15008 redirect to :15001
      }
    }`;
    sh(`ip link set lo up && ${addresses.join(" && ")} && ip route add 10.96.0.0/16 dev lo`);
    execFileSync("nft", ["-f", "-"], { input: rules });
    mkdirSync(this.#objects);
    const base = join(import.meta.dirname, "../../golden/l4-base/input.yaml");
    this.writeObjects("base.yaml", readFileSync(base, "utf8"));
    this.#start("controlplane", ["controlplane", ...this.#controlPlaneArguments()]);
    const root = join(this.dir, "state", "root-cert.pem");
    await eventually("the control plane is up", () => existsSync(root));
  }

  /** Starts the proxy of the pod `reviews`. */
  async startZtunnel(env: Readonly<Record<string, string>> = {}): Promise<ManagedProcess> {
    const root = join(this.dir, "state", "root-cert.pem");
    const ztunnel = this.#start("ztunnel", ["ztunnel"], {
      PROXY_MODE: "dedicated",
      PROXY_WORKLOAD_INFO: "shop/reviews-v1/reviews",
      PACKET_MARK: String(MARK),
      NODE_NAME: "node1",
      POD_NAME: "reviews-v1",
      POD_NAMESPACE: "shop",
      SERVICE_ACCOUNT: "reviews",
      INSTANCE_IP: pods.reviews,
      XDS_ADDRESS: "https://localhost:15012",
      CA_ADDRESS: "https://localhost:15012",
      XDS_ROOT_CA: root,
      CA_ROOT_CA: root,
      AUTH_TOKEN: this.token("shop/reviews"),
      ISTIO_META_DNS_CAPTURE: "false",
      TERMINATION_GRACE_PERIOD_SECONDS: "6",
      ...env,
    });
    await eventually("the ztunnel is ready", () => {
      if (!ztunnel.running) throw ztunnel.failure("did not start");
      return isReady("127.0.0.1");
    });
    return ztunnel;
  }

  /** The application of `reviews` connects; the redirection leads to the ztunnel. */
  async outbound(host: string, port: number): Promise<Socket> {
    const own = { localAddress: pods.reviews, allowHalfOpen: true, noDelay: true };
    const socket = connect({ host, port, ...own });
    await once(socket, "connect");
    return socket;
  }

  /** Whether so many octets come back from an echo. */
  async echoes(host: string, port: number, bytes: number): Promise<boolean> {
    const socket = await this.outbound(host, port);
    const sent = Buffer.alloc(bytes, "ambit");
    socket.end(sent);
    return (await collect(socket)).equals(sent);
  }

  writeObjects(name: string, text: string): void {
    const draft = join(this.dir, "draft");
    writeFileSync(draft, text);
    renameSync(draft, join(this.#objects, name));
  }

  removeObjects(name: string): void {
    rmSync(join(this.#objects, name));
  }

  token(serviceAccount: string): string {
    const [file = "", ...args] = program;
    const flags = ["--state-dir", join(this.dir, "state"), "--service-account", serviceAccount];
    return execFileSync(file, [...args, "token", ...flags], { encoding: "utf8" }).trim();
  }

  /** What a proxy with an identity of its own does: a token, a signing request, the mesh's authority. */
  async certificate(serviceAccount: string): Promise<KeyedCertificate> {
    const identity = parseSpiffe(spiffe(serviceAccount));
    if (identity === undefined) throw new Error(`no identity: ${serviceAccount}`);
    const { csrPem, privateKey } = await createSigningRequest(identity);
    const { certChain } = await this.#sign(csrPem, this.token(serviceAccount));
    const [leaf, ...intermediates] = certChain.slice(0, -1).flatMap((pem) => readCertificates(pem));
    if (leaf === undefined) throw new Error("no certificate in the answer");
    const roots = readCertificates(certChain.at(-1) ?? "");
    const certificate = createWorkloadCertificate(
      { identity, leaf, intermediates, roots, privateKey },
      tlsSettings({ tls12: false, compliancePolicy: undefined }),
    );
    const keyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    return Object.assign(certificate, { keyPem });
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.stop("SIGKILL")));
    rmSync(this.dir, { recursive: true, force: true });
  }

  get #objects(): string {
    return join(this.dir, "objects");
  }

  #controlPlaneArguments(): readonly string[] {
    const listen = Object.entries({
      grpc: 15010,
      "secure-grpc": 15012,
      http: 8081,
      monitoring: 15014,
    });
    return [
      ...["--config", this.#objects, "--state-dir", join(this.dir, "state")],
      ...listen.flatMap(([name, port]) => [`--${name}-addr`, `127.0.0.1:${port}`]),
    ];
  }

  #start(name: string, args: readonly string[], env: Record<string, string> = {}): ManagedProcess {
    const started = ManagedProcess.start({ name, command: [...program, ...args], env });
    this.#processes.push(started);
    return started;
  }

  async #sign(csr: string, token: string): Promise<IstioCertificateResponse> {
    const root = readFileSync(join(this.dir, "state", "root-cert.pem"));
    const client = new Client("localhost:15012", credentials.createSsl(root));
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    const { path, requestSerialize, responseDeserialize } = createCertificateMethod;
    const request = create(IstioCertificateRequestSchema, { csr, validityDuration: 3600n });
    try {
      return await new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
          (error, response) => (response === undefined ? reject(error) : resolve(response)),
        );
      });
    } finally {
      client.close();
    }
  }
}

function sh(command: string): string {
  return execFileSync("sh", ["-c", command], { encoding: "utf8" });
}
