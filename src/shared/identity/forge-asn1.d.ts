/** Only forge's ASN.1 part is loaded: the whole package costs 6 MB of memory and 50 ms at start. */
declare module "node-forge/lib/asn1.js" {
  import type { asn1 } from "node-forge";

  const value: typeof asn1;
  // biome-ignore lint/style/noDefaultExport: the shape of a CommonJS module
  export default value;
}
