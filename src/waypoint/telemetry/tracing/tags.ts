/** Tags that the configuration adds to every span. */
import type { Format } from "../log/format.ts";

export type CustomTag =
  | { readonly kind: "value"; readonly tag: string; readonly value: string }
  | {
      readonly kind: "header";
      readonly tag: string;
      /** Lower-case. */
      readonly name: string;
      readonly fallback: string;
    }
  | {
      readonly kind: "metadata";
      readonly tag: string;
      readonly from: "request" | "route" | "cluster" | "host";
      readonly filter: string;
      readonly path: readonly string[];
      readonly fallback: string;
    }
  | { readonly kind: "format"; readonly tag: string; readonly format: Format };
