/**
 * A connection of the `ws` package as a `Transport`: the server's ends and Node workers' ends. It
 * copies nothing: what is sent is the caller's memory until the system has taken it.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { truncateReason } from './closeReason.js';
import { FrameGate } from './frameGate.js';
import type { Transport, TransportHandlers } from './transport.js';

const OPEN = 1;
/** With more to be read by the other end, its pings are not answered: one that does not read gets no more. */
const MAX_PONG_BACKLOG = 65_536;

/** A transport over an open WebSocket, which must not answer pings by itself (`autoPong: false`). */
export class WsTransport implements Transport {
  readonly #socket: WebSocket;
  readonly #frames: FrameGate<Uint8Array>;
  /** The system's reason for an end that no close frame explains. */
  #failure = '';

  /** `socket` must be open, and belongs to the transport from now on; `raw`: the one under it, for `onRead`. */
  constructor(socket: WebSocket, handlers: TransportHandlers, raw?: Duplex) {
    this.#socket = socket;
    this.#frames = new FrameGate((frame) => handlers.onFrame(frame));
    // Large messages then are whole buffers of their own: aligned, and without another copy.
    socket.binaryType = 'arraybuffer';
    socket.on('message', (data, isBinary) => {
      if (isBinary) this.#frames.push(new Uint8Array(data as ArrayBuffer));
      else handlers.onText();
    });
    socket.on('ping', (data) => {
      handlers.onControl?.();
      if (socket.bufferedAmount < MAX_PONG_BACKLOG) socket.pong(data);
    });
    socket.on('pong', () => handlers.onControl?.());
    socket.on('error', (error) => {
      this.#failure = error.message;
    });
    if (raw !== undefined) this.#tellReads(raw, handlers);
    socket.once('close', (code, reason) => {
      this.#frames.clear();
      handlers.onClose(code, reason.length > 0 ? reason.toString() : this.#failure);
    });
  }

  #tellReads(raw: Duplex, handlers: TransportHandlers): void {
    const look = (bytes: Uint8Array): void => {
      if (handlers.onRead?.(bytes.length)) return;
      raw.off('data', look);
      // It was closed for what it sends: no more of it.
      if (this.#socket.readyState !== OPEN) this.#socket.pause();
    };
    raw.on('data', look);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(frame: Uint8Array, whenTaken?: () => void): void {
    if (this.#socket.readyState === OPEN) {
      this.#socket.send(frame, { binary: true }, whenTaken === undefined ? undefined : () => whenTaken());
    } else if (whenTaken !== undefined) {
      queueMicrotask(whenTaken);
    }
  }

  pause(): void {
    this.#frames.pause();
    this.#socket.pause();
  }

  resume(): void {
    if (this.#frames.resume()) this.#socket.resume();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, truncateReason(reason));
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
