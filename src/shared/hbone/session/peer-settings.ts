/** The peer's SETTINGS (RFC 9113 section 6.5.2): decoded and checked, nothing else. */
import { ConnectionError, errorCode } from "../http2/errors.ts";
import {
  defaultWindowBytes,
  maxMaxFrameBytes,
  maxWindowBytes,
  minMaxFrameBytes,
  settingBytes,
  settingId,
  uint32At,
} from "../http2/frames.ts";

export interface PeerSettings {
  headerTableBytes: number;
  maxConcurrentStreams: number;
  initialWindowBytes: number;
  maxFrameBytes: number;
  /** The peer takes extended CONNECT (RFC 8441 section 3). */
  connectProtocol: boolean;
}

export function initialPeerSettings(): PeerSettings {
  return {
    headerTableBytes: 4096,
    maxConcurrentStreams: Number.POSITIVE_INFINITY,
    initialWindowBytes: defaultWindowBytes,
    maxFrameBytes: minMaxFrameBytes,
    connectProtocol: false,
  };
}

/** Reads a SETTINGS payload over what is known. Values that do not concern a tunnel, and unknown ids, are ignored. */
export function readSettings(
  into: PeerSettings,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  for (let at = start; at < end; at += settingBytes) {
    const id = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    applySetting(into, id, uint32At(bytes, at + 2));
  }
}

function applySetting(into: PeerSettings, id: number, value: number): void {
  switch (id) {
    case settingId.headerTableSize:
      into.headerTableBytes = value;
      break;
    case settingId.enablePush:
      if (value > 1) throw bad(errorCode.protocolError, "ENABLE_PUSH", value);
      break;
    case settingId.maxConcurrentStreams:
      into.maxConcurrentStreams = value;
      break;
    case settingId.initialWindowSize:
      if (value > maxWindowBytes)
        throw bad(errorCode.flowControlError, "INITIAL_WINDOW_SIZE", value);
      into.initialWindowBytes = value;
      break;
    case settingId.maxFrameSize:
      if (value < minMaxFrameBytes || value > maxMaxFrameBytes)
        throw bad(errorCode.protocolError, "MAX_FRAME_SIZE", value);
      into.maxFrameBytes = value;
      break;
    case settingId.enableConnectProtocol:
      if (value > 1 || (into.connectProtocol && value === 0))
        throw bad(errorCode.protocolError, "ENABLE_CONNECT_PROTOCOL", value);
      into.connectProtocol = value === 1;
      break;
    default:
      break;
  }
}

function bad(code: number, name: string, value: number): ConnectionError {
  return new ConnectionError(code, `${name} of ${value}`);
}
