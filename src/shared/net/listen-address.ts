/** Where a server listens, as users write it. */
import { parseIp } from "./ip.ts";

export interface ListenAddress {
  /** Address or name, without brackets. */
  readonly host: string;
  /** 0 picks one. */
  readonly port: number;
}

/** `host:port`, `[v6]:port` or `:port` (all addresses). Undefined when it is none of these. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:\s]*)):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65535) return undefined;
  const [, six, other = "", digits] = match;
  if (six !== undefined && parseIp(six) === undefined) return undefined;
  return { host: six ?? (other === "" ? "::" : other), port: Number(digits) };
}

export function formatListenAddress({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
