/**
 * A connection between two of pslib's own Node ends: RFC 6455 frames on the raw socket, read and
 * written without a copy in between. Same messages, same meaning as through `ws`; chosen by the
 * subprotocol `pslib.v1.stream`. The socket has this one owner from its first byte.
 */
import type { Duplex } from 'node:stream';
import type { Message } from '../../../core/protocol/messages.js';
import { truncateReason } from '../closeReason.js';
import type { StreamHandlers, Transport } from '../transport.js';
import { OPCODE } from './frameFormat.js';
import { FrameReader, type FrameSink } from './frameReader.js';
import { FrameWriter } from './frameWriter.js';
import { pollAhead } from './pollAhead.js';
import { readInto } from './socketReads.js';

/** How long the other end may take to answer a close frame. */
const CLOSE_TIMEOUT_MS = 2000;
/** What may come after a close was sent, so that the other end gets to read it: more than two systems and its sender hold. */
const MAX_LATE_BYTES = 16_777_216;
/** With more to be read by the other end, its pings are not answered: one that does not read gets no more. */
const MAX_PONG_BACKLOG = 65_536;

/** What an end is. */
export interface StreamEnd {
  readonly isServer: boolean;
  readonly maxMessageBytes: number;
}

/** Frames on a raw socket. */
export class StreamTransport implements Transport {
  readonly #socket: Duplex;
  readonly #writer: FrameWriter;
  readonly #handlers: StreamHandlers;
  readonly #reader: FrameReader;
  #closeCode = 1006;
  #closeReason = '';
  #hasSentClose = false;
  #lateBytes = 0;
  #isOver = false;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;

  /** `head`: bytes that came with the handshake. The socket belongs to the transport from now on. */
  constructor(socket: Duplex, head: Uint8Array, end: StreamEnd, handlers: StreamHandlers) {
    this.#handlers = handlers;
    const sink: FrameSink = {
      place(message, bytes) {
        pollAhead.comes(bytes);
        return handlers.place(message, bytes);
      },
      message(message, payload) {
        if (payload.length === 0) pollAhead.comes(0);
        handlers.onMessage(message, payload);
        pollAhead.came(payload.length);
      },
      progress: () => handlers.onProgress?.(),
      malformed: (error) => handlers.onMalformed(error),
      control: (opcode, data) => this.#control(opcode, data),
      late: (bytes) => this.#late(bytes),
      fail: (code, reason) => this.close(code, reason),
    };
    this.#reader = new FrameReader(end.isServer, end.maxMessageBytes, sink);
    // Later, and before anything that is read: its owner is not ready to hear before this constructor has returned.
    if (head.length > 0) process.nextTick(() => this.#reader.feed(head));
    const own = readInto(socket, this.#reader);
    this.#socket = own;
    this.#writer = new FrameWriter(own, end.isServer);
    own.on('error', (error) => {
      if (this.#closeReason === '') this.#closeReason = error.message;
    });
    own.on('end', () => own.end());
    own.once('close', () => this.#end());
  }

  get bufferedBytes(): number {
    return this.#writer.bufferedBytes;
  }

  send(frame: Uint8Array, whenTaken?: () => void): void {
    if (this.#maySend(whenTaken)) this.#writer.frame(frame, whenTaken);
  }

  sendMessage(
    message: Message,
    payload: Uint8Array | undefined,
    mayKeep: boolean,
    whenTaken?: () => void,
    more?: readonly Uint8Array[],
  ): void {
    if (!this.#maySend(whenTaken)) return;
    pollAhead.sent(this.#writer.message(message, payload, mayKeep, whenTaken, more));
  }

  displace(): void {
    this.#reader.displace();
  }

  /** Whether anything can be sent; if not, nothing is needed any more. */
  #maySend(whenTaken: (() => void) | undefined): boolean {
    if (!this.#hasSentClose && this.#socket.writable) return true;
    if (whenTaken !== undefined) queueMicrotask(whenTaken);
    return false;
  }

  pause(): void {
    this.#reader.pause();
    this.#socket.pause();
  }

  resume(): void {
    if (this.#reader.resume()) this.#socket.resume();
  }

  close(code: number, reason: string): void {
    if (this.#hasSentClose) return;
    this.#reader.stop();
    this.#sendClose(code, reason);
    if (this.#closeCode === 1006) this.#setReason(code, reason);
    this.#socket.resume();
    this.#closeTimer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    // The other end answers by closing its half; what it sends until then is not looked at.
    this.#socket.end();
  }

  terminate(): void {
    this.#reader.stop();
    this.#socket.destroy();
  }

  #late(bytes: number): void {
    this.#lateBytes += bytes;
    if (this.#lateBytes > MAX_LATE_BYTES) this.#socket.destroy();
  }

  #control(opcode: number, data: Uint8Array): void {
    this.#handlers.onControl?.();
    if (opcode === OPCODE.ping) {
      const mayAnswer = this.#socket.writable && this.bufferedBytes < MAX_PONG_BACKLOG;
      if (!this.#hasSentClose && mayAnswer) this.#writer.control(OPCODE.pong, data);
    } else if (opcode === OPCODE.close) {
      const code = data.length >= 2 ? ((data[0] as number) << 8) | (data[1] as number) : 1005;
      this.#setReason(code, new TextDecoder().decode(data.subarray(2)));
      this.#reader.stop();
      if (!this.#hasSentClose) this.#sendClose(code === 1005 ? 1000 : code, '');
      this.#writer.flush();
      this.#socket.end();
      this.#socket.resume();
      this.#closeTimer ??= setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    }
  }

  #sendClose(code: number, reason: string): void {
    this.#hasSentClose = true;
    if (!this.#socket.writable) return;
    const text = new TextEncoder().encode(truncateReason(reason));
    const data = new Uint8Array(2 + text.length);
    data[0] = code >> 8;
    data[1] = code & 255;
    data.set(text, 2);
    this.#writer.control(OPCODE.close, data);
    this.#writer.flush();
  }

  #setReason(code: number, reason: string): void {
    this.#closeCode = code;
    this.#closeReason = reason;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#closeTimer);
    this.#reader.stop();
    this.#writer.flush();
    this.#handlers.onClose(this.#closeCode, this.#closeReason);
  }
}
