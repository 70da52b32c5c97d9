// Bundles the program into dist/: one entry, one chunk a command, so that a role loads only what it needs.
import { rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
rmSync(resolve(root, "dist"), { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { ambit: "src/cli/entry.ts" },
  outdir: "dist",
  outExtension: { ".js": ".mjs" },
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: true,
  // A role keeps its source in memory: this alone is 4 MB of a ztunnel.
  minify: true,
  logLevel: "warning",
  // koffi finds its prebuilt library beside itself, so it stays a package.
  external: ["koffi"],
  banner: {
    js: 'import { createRequire as ambitCreateRequire } from "node:module"; const require = ambitCreateRequire(import.meta.url);',
  },
});
