/**
 * One HTTP/2 connection that carries nothing but CONNECT tunnels, for either role: frames in, windows, PING, GOAWAY, and
 * the end. What a header block means is the role's (client.ts, server.ts). A mistake of the peer ends the connection with
 * GOAWAY or one stream with RST_STREAM, as RFC 9113 says for each.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import { MeshError } from "../../base/errors.ts";
import type { ChannelEvents, SecureChannel } from "../../tls/channel.ts";
import { HpackDecoder } from "../hpack/decoder.ts";
import { ConnectionError, errorCode, errorCodeName, StreamError } from "../http2/errors.ts";
import { FloodGuard } from "../http2/flood.ts";
import { FrameReader, type FrameSink } from "../http2/frame-reader.ts";
import { pingBytes } from "../http2/frames.ts";
import type { HboneSettings } from "../tunnel.ts";
import { ClosedStreams } from "./closed-streams.ts";
import { Deliveries } from "./deliveries.ts";
import { broken, brokenBy, idle } from "./failures.ts";
import { FrameWriter } from "./frame-writer.ts";
import { Http2Tunnel, type TunnelHost } from "./http2-tunnel.ts";
import { Inbox, type InboxOwner } from "./inbox.ts";
import { Liveness, type LivenessEvents } from "./liveness.ts";
import { Outbox, type OutboxOwner } from "./outbox.ts";
import { initialPeerSettings, readSettings } from "./peer-settings.ts";
import { ReceiveCredit } from "./receive-credit.ts";
import type { Role } from "./role.ts";
import { Sender } from "./sender.ts";
import type { Slab } from "./slab.ts";
import { StreamTable } from "./stream-table.ts";

/** "leaving": no new tunnels, the others go on. "closing": the last octets are on their way. */
type State = "open" | "leaving" | "closing" | "closed";

/** How long a closing connection waits for the peer before it is cut. */
const lingerMs = 1000;

export class Connection
  implements FrameSink, TunnelHost, InboxOwner, OutboxOwner, LivenessEvents, ChannelEvents
{
  readonly tunnels = new StreamTable<Http2Tunnel>();
  readonly closedStreams = new ClosedStreams();
  readonly peer = initialPeerSettings();
  readonly guard: FloodGuard;
  readonly write: FrameWriter;
  readonly closed: Promise<void>;

  readonly #channel: SecureChannel;
  readonly #clock: Clock;
  readonly #settings: HboneSettings;
  readonly #role: Role;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #sender: Sender;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #credit: ReceiveCredit;
  readonly #liveness: Liveness;
  readonly #deliveries = new Deliveries();
  #state: State = "open";
  #linger: Timer | undefined;
  #settleClosed: (() => void) | undefined;
  #settingsSeen = false;
  /**
   * The tunnel of the DATA frame under way; undefined while its payload is dropped. One that ends within the frame stays
   * here: it drops the rest itself, and gives the session its credit.
   */
  #dataTunnel: Http2Tunnel | undefined;
  #dataIsEmpty = false;

  constructor(channel: SecureChannel, settings: HboneSettings, clock: Clock, role: Role) {
    this.#channel = channel;
    this.#clock = clock;
    this.#settings = settings;
    this.#role = role;
    this.guard = new FloodGuard(clock);
    this.#outbox = new Outbox(channel, this);
    this.#inbox = new Inbox(this);
    this.#sender = new Sender(this.#outbox);
    this.write = new FrameWriter(this.#outbox, this.peer);
    this.#credit = new ReceiveCredit(settings, this.write);
    this.#decoder = new HpackDecoder(settings.maxHeaderListBytes);
    this.#reader = new FrameReader(this, {
      maxFrameBytes: settings.maxFrameBytes,
      maxBlockBytes: settings.maxHeaderListBytes * 2,
      preface: role.name === "server",
    });
    this.#liveness = new Liveness(clock, settings, this.write, this);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /** Sends our side's first frames and starts to read. */
  start(): void {
    this.#channel.listen(this);
    if (this.#channel.destroyed) this.fail(broken("connection is closed"));
    this.write.preface(this.#settings, this.#role.name);
    this.#channel.read(this.#inbox);
  }

  get state(): State {
    return this.#state;
  }

  get congested(): boolean {
    return this.#sender.exhausted || this.#credit.exhausted;
  }

  addTunnel(streamId: number): Http2Tunnel {
    const ours = this.#settings.streamWindowBytes;
    const tunnel = new Http2Tunnel(this, streamId, this.peer.initialWindowBytes, ours);
    this.tunnels.set(streamId, tunnel);
    return tunnel;
  }

  /** No new tunnels from here on; closes after the last. */
  leave(): void {
    if (this.#state === "open") this.#state = "leaving";
    this.#closeIfIdle();
  }

  /** Cuts everything now. */
  fail(error: MeshError): void {
    if (this.#state === "closed") return;
    const wasClosing = this.#state === "closing";
    this.#state = "closed";
    this.#outbox.close();
    if (!wasClosing) this.#endTunnels(error);
    this.#channel.destroy();
  }

  /** GOAWAY with this code, then the end of the socket. */
  goAwayAndClose(code: number, error: MeshError): void {
    if (this.#isOver()) return;
    this.write.goAway(this.#role.lastPeerStreamId(), code);
    this.#close(error);
  }

  // ChannelEvents

  channelWritten(): void {
    this.#outbox.written();
  }

  channelFailed(error: Error): void {
    this.fail(brokenBy(error));
  }

  channelEnded(): void {
    this.fail(broken("closed by the peer"));
  }

  channelClosed(): void {
    this.fail(broken("connection is closed"));
    this.#linger?.cancel();
    this.#inbox.close();
    this.#settleClosed?.();
  }

  // InboxOwner

  received(slab: Slab, start: number, end: number): void {
    if (this.#isOver()) return;
    this.#deliveries.slab = slab;
    try {
      this.#reader.feed(slab.bytes, start, end);
    } catch (thrown) {
      if (!(thrown instanceof ConnectionError)) throw thrown;
      const error = broken(`${errorCodeName(thrown.code)}: ${thrown.message}`);
      this.goAwayAndClose(thrown.code, error);
    }
    this.#deliveries.slab = undefined;
  }

  flushDeliveries(): void {
    this.#deliveries.flush();
  }

  flushLater(): void {
    this.#deliveries.flushLater();
  }

  // OutboxOwner

  outboxSent(): void {
    this.#sender.outboxSent();
  }

  outboxOverflowed(): void {
    this.fail(broken("ENHANCE_YOUR_CALM: the peer does not read our answers"));
  }

  // LivenessEvents

  alive(): void {
    this.#inbox.relax();
  }

  dead(): void {
    this.#role.dead();
  }

  // FrameSink

  data(streamId: number, flowBytes: number, payloadBytes: number): void {
    this.#credit.receivedBySession(flowBytes);
    this.#dataIsEmpty = payloadBytes === 0;
    this.#dataTunnel = this.#receiver(streamId, flowBytes);
    // Padding, and the payload of a stream that is gone, are consumed at once.
    const dropped = this.#dataTunnel === undefined ? flowBytes : flowBytes - payloadBytes;
    if (dropped > 0) this.#credit.give(this.#dataTunnel, dropped);
  }

  payload(_bytes: Buffer, start: number, end: number): void {
    if (this.#dataTunnel !== undefined) this.#deliveries.payload(this.#dataTunnel, start, end);
  }

  dataEnd(_streamId: number, endStream: boolean): void {
    const tunnel = this.#dataTunnel;
    this.#dataTunnel = undefined;
    if (!endStream && this.#dataIsEmpty) this.guard.count("empty DATA");
    if (endStream && tunnel !== undefined && !tunnel.over) tunnel.remoteEnd();
  }

  headers(
    streamId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    endStream: boolean,
  ): void {
    // Decoded whatever becomes of it, or the table would be out of step.
    const decoded = this.#decoder.decode(bytes, start, end);
    try {
      this.#role.headers(streamId, decoded, endStream);
    } catch (thrown) {
      this.#mistake(streamId, thrown);
    }
  }

  peerReset(streamId: number, code: number): void {
    const tunnel = this.tunnels.get(streamId);
    if (tunnel === undefined) {
      if (this.#role.isIdle(streamId)) throw idle("RST_STREAM");
      return;
    }
    if (tunnel.awaitsAnswer) this.guard.count("early reset");
    this.#forget(tunnel, "ended");
    tunnel.remoteReset(code);
    this.#closeIfIdle();
  }

  settings(bytes: Uint8Array, start: number, end: number): void {
    this.guard.count("settings");
    const { initialWindowBytes, headerTableBytes } = this.peer;
    readSettings(this.peer, bytes, start, end);
    this.#sender.maxFrameBytes = this.peer.maxFrameBytes;
    if (this.peer.headerTableBytes !== headerTableBytes)
      this.write.setHeaderTable(this.peer.headerTableBytes);
    this.write.settingsAck();
    const difference = this.peer.initialWindowBytes - initialWindowBytes;
    if (difference !== 0) this.#sender.initialWindowChanged(this.tunnels.values(), difference);
    if (this.#settingsSeen) return;
    this.#settingsSeen = true;
    this.#role.ready();
  }

  settingsAck(): void {
    this.guard.count("settings");
  }

  ping(ack: boolean, bytes: Uint8Array, start: number): void {
    if (ack) {
      this.#liveness.pong(bytes, start);
      this.#role.pong(bytes, start);
      return;
    }
    this.guard.count("ping");
    this.write.ping(true, bytes.subarray(start, start + pingBytes));
  }

  goAway(lastStreamId: number, code: number): void {
    if (this.#state === "open") this.#state = "leaving";
    this.#role.goAway(lastStreamId, code);
    this.#closeIfIdle();
  }

  windowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.#sender.windowUpdate(increment);
      return;
    }
    const tunnel = this.tunnels.get(streamId);
    if (tunnel === undefined) {
      if (this.#role.isIdle(streamId)) throw idle("WINDOW_UPDATE");
      return;
    }
    try {
      this.#sender.streamWindowUpdate(tunnel, increment);
    } catch (thrown) {
      this.#mistake(streamId, thrown);
    }
  }

  ignored(): void {
    this.guard.count("ignored frame");
  }

  // TunnelHost

  send(tunnel: Http2Tunnel, bytes: Buffer, start: number, end: number, hasRoom: boolean): boolean {
    return this.#sender.send(tunnel, bytes, start, end, hasRoom);
  }

  sendLast(tunnel: Http2Tunnel, bytes: Buffer, start: number, end: number, room: boolean): boolean {
    return this.#sender.sendLast(tunnel, bytes, start, end, room);
  }

  roomBytes(tunnel: Http2Tunnel): number {
    return this.#sender.roomBytes(tunnel);
  }

  endStream(tunnel: Http2Tunnel): void {
    if (!this.#isOver()) this.#sender.endStream(tunnel);
  }

  resetStream(tunnel: Http2Tunnel, code: number): void {
    if (this.#isOver()) return;
    this.write.resetStream(tunnel.id, code);
    this.#forget(tunnel, "reset-by-us");
    this.#closeIfIdle();
  }

  streamEnded(tunnel: Http2Tunnel): void {
    this.#forget(tunnel, "ended");
    this.#closeIfIdle();
  }

  credit(tunnel: Http2Tunnel, bytes: number): void {
    if (!this.#isOver()) this.#credit.give(tunnel, bytes);
  }

  /** The stream that a DATA frame may fill; undefined when the frame is to be dropped. */
  #receiver(streamId: number, flowBytes: number): Http2Tunnel | undefined {
    const tunnel = this.tunnels.get(streamId);
    if (tunnel === undefined) {
      if (this.#role.isIdle(streamId)) throw idle("DATA");
      if (this.closedStreams.get(streamId) !== "reset-by-us")
        this.#mistake(streamId, new StreamError(errorCode.streamClosed, "DATA on a closed stream"));
      return undefined;
    }
    tunnel.receiveWindowBytes -= flowBytes;
    if (!tunnel.remoteEnded && tunnel.receiveWindowBytes >= 0) return tunnel;
    const problem = tunnel.remoteEnded
      ? new StreamError(errorCode.streamClosed, "DATA after the end of the stream")
      : new StreamError(errorCode.flowControlError, "more DATA than the stream window");
    this.#mistake(streamId, problem);
    return undefined;
  }

  /** The peer's mistake on one stream: RST_STREAM, and nothing else suffers. Anything but a StreamError goes on. */
  #mistake(streamId: number, thrown: unknown): void {
    if (!(thrown instanceof StreamError)) throw thrown;
    // Each makes us work and answer (CVE-2025-8671), so they are bounded like the peer's own resets.
    this.guard.count("early reset");
    this.write.resetStream(streamId, thrown.code);
    const tunnel = this.tunnels.get(streamId);
    if (tunnel === undefined) {
      this.closedStreams.add(streamId, "reset-by-us");
      return;
    }
    this.#forget(tunnel, "reset-by-us");
    tunnel.fail(broken(`${errorCodeName(thrown.code)}: ${thrown.message}`));
    this.#closeIfIdle();
  }

  #forget(tunnel: Http2Tunnel, how: "reset-by-us" | "ended"): void {
    this.tunnels.delete(tunnel.id);
    this.#sender.forget(tunnel);
    this.closedStreams.add(tunnel.id, how);
  }

  #isOver(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  #closeIfIdle(): void {
    if (this.#state === "leaving" && this.tunnels.size === 0)
      this.#close(new MeshError("drained", "HTTP/2 session has ended"));
  }

  #close(error: MeshError): void {
    if (this.#isOver()) return;
    this.#state = "closing";
    this.#outbox.end();
    this.#endTunnels(error);
    this.#linger = this.#clock.after(lingerMs, () => this.#channel.destroy());
  }

  #endTunnels(error: MeshError): void {
    this.#liveness.stop();
    this.#sender.close();
    const tunnels = this.tunnels.values();
    this.tunnels.clear();
    for (const tunnel of tunnels) tunnel.fail(error);
    this.#role.ended(error);
  }
}
