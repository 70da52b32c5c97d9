/** What a person has to do when this machine refuses the namespaces a world needs. Pure: facts in, text out. */

export interface SandboxFacts {
  readonly platform: string;
  readonly isRoot: boolean;
  /** Programs that are not installed. */
  readonly missing: readonly string[];
  readonly worksAsRoot: boolean;
  readonly worksWithUserNamespace: boolean;
  /** Kernel settings that forbid user namespaces; undefined where the kernel has no such setting. */
  readonly sysctls: {
    readonly maxUserNamespaces: number | undefined;
    readonly unprivilegedClone: number | undefined;
    readonly apparmorRestricts: number | undefined;
  };
}

/** The Debian package of every program we may ask for. */
const packages: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  mount: "mount",
  nsenter: "util-linux",
  setpriv: "util-linux",
  unshare: "util-linux",
  ss: "iproute2",
  nginx: "nginx-light",
  h2load: "nghttp2-client",
  timeout: "coreutils",
};

/** Undefined when a sandbox can be had. */
export function adviceFor(facts: SandboxFacts): string | undefined {
  if (facts.platform !== "linux")
    return `network namespaces exist only on Linux, and this is ${facts.platform}; use a Linux machine, virtual machine or privileged container`;
  if (facts.missing.length > 0) {
    const names = [...new Set(facts.missing.map((tool) => packages[tool] ?? tool))];
    const sudo = facts.isRoot ? "" : "sudo ";
    return `these programs are missing: ${facts.missing.join(", ")}; install them with: ${sudo}apt-get install ${names.join(" ")}`;
  }
  if (facts.worksAsRoot || facts.worksWithUserNamespace) return undefined;
  const { maxUserNamespaces, unprivilegedClone, apparmorRestricts } = facts.sysctls;
  if (facts.isRoot)
    return "this machine does not let root make namespaces, as in a container without privileges; start the container with: docker run --privileged";
  if (maxUserNamespaces === 0)
    return "user namespaces are switched off; allow them with: sudo sysctl user.max_user_namespaces=10000, or run this as root";
  if (unprivilegedClone === 0)
    return "user namespaces are forbidden for ordinary users; allow them with: sudo sysctl kernel.unprivileged_userns_clone=1, or run this as root";
  if (apparmorRestricts === 1)
    return "AppArmor restricts user namespaces; allow them with: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run this as root";
  return "this machine does not let ordinary users make namespaces; run this as root, or in a container started with: docker run --privileged";
}
