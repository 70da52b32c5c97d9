// npm writes no lock entry for an optional platform package that its registry does not offer, and then `npm ci` refuses
// the lock it wrote itself. Run this after `npm install` where that happens: it adds the missing entries, which are
// never installed on Linux anyway.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const systems = ["android", "darwin", "freebsd", "linux", "openbsd", "openharmony", "win32"];
const processors = {
  aarch64: "arm64",
  arm: "arm",
  arm64: "arm64",
  armv7: "arm",
  ia32: "ia32",
  loong64: "loong64",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  x64: "x64",
};

function libcOf(name) {
  if (name.includes("musl")) return ["musl"];
  return name.includes("gnu") ? ["glibc"] : undefined;
}

/** What the name of a platform package says about the platform. */
function entryFor(name, version, parent) {
  const words = name.split(/[/-]/);
  const cpu = words.flatMap((word) => processors[word] ?? []);
  const os = systems.filter((system) => words.includes(system));
  if (cpu.length !== 1 || os.length !== 1)
    throw new Error(`Cannot tell the platform of "${name}" from its name`);
  const libc = libcOf(name);
  return {
    version,
    cpu,
    ...(parent.dev ? { dev: true } : {}),
    ...(libc ? { libc } : {}),
    optional: true,
    os,
  };
}

const lock = JSON.parse(readFileSync(file, "utf8"));
let added = 0;
for (const parent of Object.values(lock.packages))
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] !== undefined) continue;
    lock.packages[`node_modules/${name}`] = entryFor(name, version, parent);
    added++;
  }
const byPath = ([left], [right]) => (left < right ? -1 : 1);
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(byPath));
writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
process.stderr.write(`added ${added} entries\n`);
