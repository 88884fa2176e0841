/**
 * A connection between two of pslib's own Node ends: RFC 6455 frames on the raw socket, read and
 * written without a copy in between. Same messages, same meaning as through `ws`; chosen by the
 * subprotocol `pslib.v1.stream`. The socket has this one owner from its first byte.
 */
import type { Duplex } from 'node:stream';
import { truncateReason } from '../closeReason.js';
import type { StreamHandlers, Transport } from '../transport.js';
import { FrameReader, OPCODE } from './frameReader.js';

/** How long the other end may take to answer a close frame. */
const CLOSE_TIMEOUT_MS = 2000;
/** Four zero bytes: a client must mask (RFC 6455, section 5.3), and this mask changes nothing. */
const MASK_BYTES = 4;

/** What an end is. */
export interface StreamEnd {
  readonly isServer: boolean;
  readonly maxMessageBytes: number;
}

/** Frames on a raw socket. */
export class StreamTransport implements Transport {
  readonly #socket: Duplex;
  readonly #isServer: boolean;
  readonly #handlers: StreamHandlers;
  readonly #reader: FrameReader;
  #closeCode = 1006;
  #closeReason = '';
  #hasSentClose = false;
  #isOver = false;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;

  /** `head`: bytes that came with the handshake. The socket belongs to the transport from now on. */
  constructor(socket: Duplex, head: Uint8Array, end: StreamEnd, handlers: StreamHandlers) {
    this.#socket = socket;
    this.#isServer = end.isServer;
    this.#handlers = handlers;
    this.#reader = new FrameReader(end.isServer, end.maxMessageBytes, {
      place: (message, bytes) => handlers.place(message, bytes),
      message: (message, payload) => handlers.onMessage(message, payload),
      malformed: (error) => handlers.onMalformed(error),
      control: (opcode, data) => this.#control(opcode, data),
      fail: (code, reason) => this.close(code, reason),
    });
    // Back into the socket: its owner is not ready to hear before this constructor has returned.
    if (head.length > 0) socket.unshift(head);
    socket.on('data', (bytes: Buffer) => this.#reader.feed(bytes));
    socket.on('error', (error) => {
      if (this.#closeReason === '') this.#closeReason = error.message;
    });
    socket.on('end', () => socket.end());
    socket.once('close', () => this.#end());
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  send(frame: Uint8Array, whenTaken?: () => void): void {
    this.sendParts(frame, undefined, whenTaken);
  }

  /** Sends `head` and `payload` as one message, without copying the payload. */
  sendParts(head: Uint8Array, payload: Uint8Array | undefined, whenTaken?: () => void): void {
    if (this.#hasSentClose || !this.#socket.writable) {
      if (whenTaken !== undefined) queueMicrotask(whenTaken);
      return;
    }
    const bytes = head.length + (payload?.length ?? 0);
    const first = this.#withFrameHeader(OPCODE.binary, head, bytes);
    if (payload === undefined || payload.length === 0) {
      this.#socket.write(first, whenTaken);
      return;
    }
    this.#socket.cork();
    this.#socket.write(first);
    this.#socket.write(payload, whenTaken);
    this.#socket.uncork();
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

  #control(opcode: number, data: Uint8Array): void {
    if (opcode === OPCODE.ping) {
      if (!this.#hasSentClose) this.#socket.write(this.#withFrameHeader(OPCODE.pong, data, data.length));
    } else if (opcode === OPCODE.close) {
      const code = data.length >= 2 ? ((data[0] as number) << 8) | (data[1] as number) : 1005;
      this.#setReason(code, new TextDecoder().decode(data.subarray(2)));
      this.#reader.stop();
      if (!this.#hasSentClose) this.#sendClose(code === 1005 ? 1000 : code, '');
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
    this.#socket.write(this.#withFrameHeader(OPCODE.close, data, data.length));
  }

  /** `content` behind the frame header of a message of `bytes`. */
  #withFrameHeader(opcode: number, content: Uint8Array, bytes: number): Uint8Array {
    const extended = bytes < 126 ? 0 : bytes < 65_536 ? 2 : 8;
    const start = 2 + extended + (this.#isServer ? 0 : MASK_BYTES);
    const out = new Uint8Array(start + content.length);
    out[0] = 0x80 | opcode;
    out[1] = (this.#isServer ? 0 : 0x80) | (extended === 0 ? bytes : extended === 2 ? 126 : 127);
    let rest = bytes;
    for (let at = 1 + extended; at >= 2; at--) {
      out[at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    out.set(content, start);
    return out;
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
    this.#handlers.onClose(this.#closeCode, this.#closeReason);
  }
}
