/**
 * A connection between two of pslib's own Node ends: RFC 6455 frames on the raw socket, read and
 * written without a copy in between. Same messages, same meaning as through `ws`; chosen by the
 * subprotocol `pslib.v1.stream`. The socket has this one owner from its first byte.
 */
import type { Duplex } from 'node:stream';
import { encodeHead } from '../../../core/protocol/codec.js';
import { MAX_HEADER_BYTES } from '../../../core/protocol/limits.js';
import type { Message } from '../../../core/protocol/messages.js';
import { truncateReason } from '../closeReason.js';
import type { StreamHandlers, Transport } from '../transport.js';
import { FrameReader, type FrameSink, OPCODE } from './frameReader.js';
import { readInto } from './socketReads.js';

/** How long the other end may take to answer a close frame. */
const CLOSE_TIMEOUT_MS = 2000;
/** Four zero bytes: a client must mask (RFC 6455, section 5.3), and this mask changes nothing. */
const MASK_BYTES = 4;
/** Room for the longest header of a frame. */
const HEADER_ROOM = 16;
/** A payload up to this is copied behind its header: that costs less than a write in two parts. */
const COPIED_BYTES = 32_768;
const OUT_BYTES = HEADER_ROOM + 64 + MAX_HEADER_BYTES + COPIED_BYTES;
const NO_BYTES = new Uint8Array(0);

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
  /** What is sent is put together here. */
  #out = new Uint8Array(OUT_BYTES);
  #closeCode = 1006;
  #closeReason = '';
  #hasSentClose = false;
  #isOver = false;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;

  /** `head`: bytes that came with the handshake. The socket belongs to the transport from now on. */
  constructor(socket: Duplex, head: Uint8Array, end: StreamEnd, handlers: StreamHandlers) {
    this.#isServer = end.isServer;
    this.#handlers = handlers;
    const sink: FrameSink = {
      place: (message, bytes) => handlers.place(message, bytes),
      message: (message, payload) => handlers.onMessage(message, payload),
      malformed: (error) => handlers.onMalformed(error),
      control: (opcode, data) => this.#control(opcode, data),
      fail: (code, reason) => this.close(code, reason),
    };
    this.#reader = new FrameReader(end.isServer, end.maxMessageBytes, sink);
    // Later, and before anything that is read: its owner is not ready to hear before this constructor has returned.
    if (head.length > 0) process.nextTick(() => this.#reader.feed(head));
    const own = readInto(socket, this.#reader);
    this.#socket = own;
    own.on('error', (error) => {
      if (this.#closeReason === '') this.#closeReason = error.message;
    });
    own.on('end', () => own.end());
    own.once('close', () => this.#end());
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  send(frame: Uint8Array, whenTaken?: () => void): void {
    if (!this.#maySend(whenTaken)) return;
    const begin = this.#writeFrameHeader(OPCODE.binary, frame.length);
    this.#sendBoth(this.#out.slice(begin, HEADER_ROOM), frame, whenTaken);
  }

  sendMessage(
    message: Message,
    payload: Uint8Array | undefined,
    mayKeep: boolean,
    whenTaken?: () => void,
  ): void {
    if (!this.#maySend(whenTaken)) return;
    const payloadBytes = payload?.length ?? 0;
    const end = encodeHead(message, payloadBytes, this.#out, HEADER_ROOM);
    const begin = this.#writeFrameHeader(OPCODE.binary, end - HEADER_ROOM + payloadBytes);
    if (payload === undefined || payloadBytes <= COPIED_BYTES) {
      if (payload !== undefined) this.#out.set(payload, end);
      this.#sendOut(begin, end + payloadBytes, whenTaken);
    } else {
      this.#sendBoth(this.#out.slice(begin, end), mayKeep ? payload : payload.slice(), whenTaken);
    }
  }

  /** Whether anything can be sent; if not, nothing is needed any more. */
  #maySend(whenTaken: (() => void) | undefined): boolean {
    if (!this.#hasSentClose && this.#socket.writable) return true;
    if (whenTaken !== undefined) queueMicrotask(whenTaken);
    return false;
  }

  /** Sends what stands in `#out`, which is used again as soon as the system has all of it: mostly at once. */
  #sendOut(begin: number, end: number, whenTaken: (() => void) | undefined): void {
    this.#socket.write(this.#out.subarray(begin, end));
    if (this.#socket.writableLength === 0) {
      whenTaken?.();
      return;
    }
    this.#out = new Uint8Array(OUT_BYTES);
    if (whenTaken !== undefined) this.#socket.write(NO_BYTES, whenTaken);
  }

  #sendBoth(head: Uint8Array, payload: Uint8Array, whenTaken: (() => void) | undefined): void {
    this.#socket.cork();
    this.#socket.write(head);
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
      if (!this.#hasSentClose && this.#socket.writable) this.#sendControl(OPCODE.pong, data);
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
    this.#sendControl(OPCODE.close, data);
  }

  #sendControl(opcode: number, data: Uint8Array): void {
    const begin = this.#writeFrameHeader(opcode, data.length);
    this.#out.set(data, HEADER_ROOM);
    this.#sendOut(begin, HEADER_ROOM + data.length, undefined);
  }

  /** Writes the header of a frame of `bytes` to `#out`, so that it ends at `HEADER_ROOM`; returns where it begins. */
  #writeFrameHeader(opcode: number, bytes: number): number {
    const out = this.#out;
    const mask = this.#isServer ? 0 : MASK_BYTES;
    const extended = bytes < 126 ? 0 : bytes < 65_536 ? 2 : 8;
    const begin = HEADER_ROOM - mask - extended - 2;
    out[begin] = 0x80 | opcode;
    out[begin + 1] = (mask === 0 ? 0 : 0x80) | (extended === 0 ? bytes : extended === 2 ? 126 : 127);
    let rest = bytes;
    for (let at = begin + 1 + extended; at >= begin + 2; at--) {
      out[at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    out.fill(0, HEADER_ROOM - mask, HEADER_ROOM);
    return begin;
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
