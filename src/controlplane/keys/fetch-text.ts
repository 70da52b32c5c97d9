/** A document from the network, as text. */

/** Rejects when it cannot be had whole, within the time, with an answer of success. */
export type FetchText = (url: string, timeoutMs: number) => Promise<string>;

const MAX_BYTES = 1_048_576;

/** Trusts the certificate authorities of the machine; NODE_EXTRA_CA_CERTS names further ones. */
export const fetchText: FetchText = async (url, timeoutMs) => {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Error(`${url} answers with status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > MAX_BYTES) throw new Error(`${url} answers with more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
};
