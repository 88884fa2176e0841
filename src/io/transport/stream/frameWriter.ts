/**
 * Writes RFC 6455 frames to a raw socket. Small messages are put together in one piece of memory and written at the end
 * of the turn, all of one turn by one call of the system, which costs more than everything else about them. That
 * memory is used again as soon as the system has it: mostly at once. Large payloads are sent from where they are.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { bytesOfPieces, encodeHead } from '../../../core/protocol/codec.js';
import { MAX_HEADER_BYTES } from '../../../core/protocol/limits.js';
import type { Message } from '../../../core/protocol/messages.js';
import { OPCODE } from './frameFormat.js';

/** Four zero bytes: a client must mask (RFC 6455, section 5.3), and this mask changes nothing. */
const MASK_BYTES = 4;
/** Room for the longest header of a frame. */
const HEADER_ROOM = 16;
/** A payload up to this is copied behind its header: that costs less than a write in two parts. */
const COPIED_BYTES = 32_768;
/** All of a message but its payload takes no more. */
const HEAD_BYTES = HEADER_ROOM + 64 + MAX_HEADER_BYTES;
const OUT_BYTES = 2 * (HEAD_BYTES + COPIED_BYTES);
const NO_BYTES = new Uint8Array(0);
const NO_PIECES: readonly Uint8Array[] = [];
/** What follows it runs as a microtask, for half of what `queueMicrotask` costs in Node. */
const endOfTurn = Promise.resolve();
/** Memory that no writer has, for the next one that needs some. */
const spare: Uint8Array[] = [];
const MAX_SPARE = 16;

/** The way out of one socket. */
export class FrameWriter {
  readonly #socket: Duplex;
  readonly #isServer: boolean;
  /** Whether the system has taken what is written as soon as nothing of it waits: not so through TLS, or a stream of somebody's. */
  readonly #isPlain: boolean;
  /** Lent for a turn, so that a connection that says nothing has none. */
  #out: Uint8Array = NO_BYTES;
  /** So much of `#out` is waiting for the end of the turn. */
  #pending = 0;
  #isFlushDue = false;
  readonly #flushDue = (): void => {
    this.#isFlushDue = false;
    this.flush();
  };
  #whenTaken: (() => void)[] | undefined;

  constructor(socket: Duplex, isServer: boolean) {
    this.#socket = socket;
    this.#isServer = isServer;
    this.#isPlain = Object.getPrototypeOf(socket) === Socket.prototype;
  }

  /** Bytes that the system has not taken. */
  get bufferedBytes(): number {
    return this.#socket.writableLength + this.#pending;
  }

  /** Sends one message; see `Transport.sendMessage`. Returns the bytes of its payload. */
  message(
    message: Message,
    payload: Uint8Array | undefined,
    mayKeep: boolean,
    whenTaken: (() => void) | undefined,
    more: readonly Uint8Array[] = NO_PIECES,
  ): number {
    const first = payload ?? NO_BYTES;
    const payloadBytes = bytesOfPieces(first, more);
    const isCopied = payloadBytes <= COPIED_BYTES;
    this.#makeRoom(HEAD_BYTES + (isCopied ? payloadBytes : 0));
    const start = this.#pending + HEADER_ROOM;
    const end = encodeHead(message, payloadBytes, this.#out, start);
    const begin = this.#writeHeader(OPCODE.binary, end - start + payloadBytes, start);
    if (!isCopied) {
      const head = this.#out.slice(begin, end);
      this.#sendAll([head, mayKeep ? first : first.slice(), ...more], whenTaken);
      return payloadBytes;
    }
    this.#out.set(first, end);
    let at = end + first.length;
    for (const piece of more) {
      this.#out.set(piece, at);
      at += piece.length;
    }
    this.#append(begin, at, whenTaken);
    return payloadBytes;
  }

  /** Sends the content of a message from where it is. */
  frame(content: Uint8Array, whenTaken: (() => void) | undefined): void {
    this.#makeRoom(HEADER_ROOM);
    const start = this.#pending + HEADER_ROOM;
    const begin = this.#writeHeader(OPCODE.binary, content.length, start);
    this.#sendAll([this.#out.slice(begin, start), content], whenTaken);
  }

  /** Sends a control frame. */
  control(opcode: number, data: Uint8Array): void {
    this.#makeRoom(HEADER_ROOM + data.length);
    const start = this.#pending + HEADER_ROOM;
    const begin = this.#writeHeader(opcode, data.length, start);
    this.#out.set(data, start);
    this.#append(begin, start + data.length, undefined);
  }

  /** Writes what waits for the end of the turn. Harmless when the socket has ended: then nothing is needed any more. */
  flush(): void {
    const out = this.#out;
    this.#out = NO_BYTES;
    if (this.#pending === 0) {
      giveBack(out);
      return;
    }
    // Where it will wait it is not to keep more than itself.
    const isInPlace = this.#isPlain && this.#socket.writableLength === 0;
    const bytes = isInPlace ? out.subarray(0, this.#pending) : out.slice(0, this.#pending);
    if (!isInPlace) giveBack(out);
    const whenTaken = this.#whenTaken;
    this.#pending = 0;
    this.#whenTaken = undefined;
    const socket = this.#socket;
    const isOpen = socket.writable;
    if (isOpen) socket.write(bytes);
    if (isOpen && socket.writableLength > 0) {
      if (whenTaken !== undefined) socket.write(NO_BYTES, () => callAll(whenTaken));
    } else {
      if (isInPlace) giveBack(out);
      if (whenTaken !== undefined) callAll(whenTaken);
    }
  }

  /** A frame stands in [begin, end) of `#out`: it moves up to those before it. */
  #append(begin: number, end: number, whenTaken: (() => void) | undefined): void {
    this.#out.copyWithin(this.#pending, begin, end);
    this.#pending += end - begin;
    if (whenTaken !== undefined) {
      this.#whenTaken ??= [];
      this.#whenTaken.push(whenTaken);
    }
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    void endOfTurn.then(this.#flushDue);
  }

  #makeRoom(bytes: number): void {
    while (this.#pending + bytes > OUT_BYTES) this.flush();
    if (this.#out.length === 0) this.#out = spare.pop() ?? new Uint8Array(OUT_BYTES);
  }

  #sendAll(pieces: readonly Uint8Array[], whenTaken: (() => void) | undefined): void {
    this.flush();
    const last = pieces.length - 1;
    this.#socket.cork();
    for (let i = 0; i < last; i++) this.#socket.write(pieces[i]);
    this.#socket.write(pieces[last], whenTaken);
    this.#socket.uncork();
  }

  /** Writes the header of a frame of `bytes` so that it ends before `start`; returns where it begins. */
  #writeHeader(opcode: number, bytes: number, start: number): number {
    const out = this.#out;
    const mask = this.#isServer ? 0 : MASK_BYTES;
    const extended = bytes < 126 ? 0 : bytes < 65_536 ? 2 : 8;
    const begin = start - mask - extended - 2;
    out[begin] = 0x80 | opcode;
    out[begin + 1] = (mask === 0 ? 0 : 0x80) | (extended === 0 ? bytes : extended === 2 ? 126 : 127);
    let rest = bytes;
    for (let at = begin + 1 + extended; at >= begin + 2; at--) {
      out[at] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    out.fill(0, start - mask, start);
    return begin;
  }
}

/** REQUIRES: nobody reads it any more. */
function giveBack(out: Uint8Array): void {
  if (out.length > 0 && spare.length < MAX_SPARE) spare.push(out);
}

function callAll(actions: readonly (() => void)[]): void {
  for (const action of actions) action();
}
