/**
 * An incremental reader of RFC 6455 frames that carry pslib messages. It never joins what it is fed:
 * headers are kept across reads (at most 16 KiB), and payload bytes go from each read straight to where
 * its owner wants them, one copy in all.
 *
 *     frame ──▶ preamble ──▶ header ──place()──▶ payload ──▶ message()
 *       ├──▶ control
 *       └──▶ discard (a message that is not one of ours; counted by its owner)
 *
 * Messages of more than one fragment are not part of this subprotocol and are refused, as are wrong masks,
 * reserved bits, unknown opcodes and messages over the limit, before a byte of their payload is taken.
 */
import { PsError } from '../../../core/base/errors.js';
import { payloadOffset } from '../../../core/protocol/codec.js';
import { readHeader } from '../../../core/protocol/header.js';
import { MAX_HEADER_BYTES, PREAMBLE_BYTES } from '../../../core/protocol/limits.js';
import type { Message } from '../../../core/protocol/messages.js';
import type { PayloadPlace } from '../../../core/protocol/payloadPlace.js';
import { faultOfFrame, OPCODE, uint32 } from './frameFormat.js';

/** Takes what a reader finds. */
export interface FrameSink {
  /** Where the payload of `message` goes: exactly `payloadBytes` long; undefined: memory of its own. */
  place(message: Message, payloadBytes: number): PayloadPlace | undefined;
  /** A whole message. Its payload is the owner's from now on. */
  message(message: Message, payload: Uint8Array): void;
  /** A part of a payload has come, not its end. */
  progress?(): void;
  /** A message that is none of this protocol; reading goes on behind it. */
  malformed(error: PsError): void;
  /** A close, ping or pong frame; the data is valid during the call. */
  control(opcode: number, data: Uint8Array): void;
  /** So many bytes came after `stop`; they were not looked at. */
  late?(bytes: number): void;
  /** The stream is broken for good; `code` is the close code. */
  fail(code: number, reason: string): void;
}

const NO_BYTES = new Uint8Array(0);
/** A read takes at most so much; with more the memory would not stay in a cache of the processor. */
const READ_BYTES = 65_536;
/** What most frames leave for the next read. */
const SHORT_KEEP_BYTES = 64;
/** A read is looked at before the next one of any socket; but Windows writes whenever something comes. */
const sharedMemory = globalThis.process?.platform === 'win32' ? undefined : new Uint8Array(READ_BYTES);

type State = 'frame' | 'length' | 'preamble' | 'header' | 'payload' | 'control' | 'discard' | 'failed';

/** Reads the frames of one connection. */
export class FrameReader {
  readonly #isMasked: boolean;
  readonly #maxMessageBytes: number;
  readonly #sink: FrameSink;
  #state: State = 'frame';
  /** Bytes that the state needs, and those it has kept from earlier reads. */
  #needed = 2;
  #kept = 0;
  #keep = new Uint8Array(SHORT_KEEP_BYTES);
  #opcode = 0;
  /** Bytes of the frame's payload that are not read yet. */
  #left = 0;
  readonly #mask = new Uint8Array(4);
  #hasMask = false;
  /** Position within the masked payload. */
  #position = 0;
  #headerBytes = 0;
  #payloadBytes = 0;
  #message: Message | undefined;
  #target: Uint8Array = NO_BYTES;
  #place: PayloadPlace | undefined;
  #filled = 0;
  #isPaused = false;
  #rest: Uint8Array[] = [];
  readonly #memory = sharedMemory ?? new Uint8Array(READ_BYTES);

  /** `isMasked`: frames must be masked (they come from a client), or must not be. */
  constructor(isMasked: boolean, maxMessageBytes: number, sink: FrameSink) {
    this.#isMasked = isMasked;
    this.#maxMessageBytes = maxMessageBytes;
    this.#sink = sink;
  }

  /** Whether part of a message has come. */
  get isInMessage(): boolean {
    return this.#state !== 'frame' || this.#kept > 0;
  }

  /** Memory for the next read of the stream. */
  memory(): Uint8Array {
    return this.#memory;
  }

  /** The first `bytes` bytes of `memory()` are the next of the stream. */
  filled(bytes: number): void {
    this.feed(this.#memory.subarray(0, bytes));
  }

  /** Takes the next bytes of the stream; what it keeps of them it copies. */
  feed(bytes: Uint8Array): void {
    if (this.#isPaused && this.#state !== 'failed') this.#rest.push(bytes.slice());
    else this.#take(bytes, false);
  }

  /** `isKept`: they are its own. */
  #take(bytes: Uint8Array, isKept: boolean): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === 'failed') {
        this.#sink.late?.(bytes.length - at);
        return;
      }
      if (this.#isPaused) {
        this.#rest.unshift(isKept ? bytes.subarray(at) : bytes.slice(at));
        return;
      }
      at = this.#step(bytes, at);
    }
  }

  /** Stops inside the current read; what was read is kept. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Goes on with what was kept. Returns false if it was paused again on the way. */
  resume(): boolean {
    this.#isPaused = false;
    while (this.#rest.length > 0 && !this.#isPaused) this.#take(this.#rest.shift() as Uint8Array, true);
    return !this.#isPaused;
  }

  /** The payload under way goes to memory of its own, with what has come of it. */
  displace(): void {
    if (this.#state !== 'payload') return;
    const own = new Uint8Array(this.#payloadBytes);
    own.set(this.#target.subarray(0, this.#filled));
    this.#target = own;
    this.#place = undefined;
  }

  /** Takes nothing more. */
  stop(): void {
    this.#state = 'failed';
    this.#rest = [];
    this.#forgetTarget();
    this.#message = undefined;
  }

  #forgetTarget(): void {
    this.#target = NO_BYTES;
    this.#place = undefined;
  }

  #step(bytes: Uint8Array, at: number): number {
    if (this.#state === 'payload') return this.#fill(bytes, at);
    if (this.#state === 'discard') return this.#discard(bytes, at);
    const missing = this.#needed - this.#kept;
    const available = Math.min(missing, bytes.length - at);
    const end = at + available;
    if (available < missing || this.#kept > 0 || this.#hasMask) {
      if (this.#needed > this.#keep.length) this.#keep = new Uint8Array(MAX_HEADER_BYTES + 64);
      this.#keep.set(bytes.subarray(at, end), this.#kept);
      this.#kept += available;
      if (available < missing) return end;
      this.#kept = 0;
      this.#parse(this.#keep.subarray(0, this.#needed));
    } else {
      this.#parse(bytes.subarray(at, end));
    }
    return end;
  }

  #parse(part: Uint8Array): void {
    switch (this.#state) {
      case 'frame':
        this.#parseFrame(part);
        break;
      case 'length':
        this.#parseLength(part);
        break;
      case 'preamble':
        this.#unmask(part);
        this.#parsePreamble(part);
        break;
      case 'header':
        this.#unmask(part);
        this.#parseHeader(part);
        break;
      case 'control':
        this.#unmask(part);
        this.#left = 0;
        this.#expect('frame', 2);
        this.#sink.control(this.#opcode, part);
        break;
    }
  }

  #parseFrame(part: Uint8Array): void {
    const first = part[0] as number;
    const second = part[1] as number;
    const fault = faultOfFrame(first, second, this.#isMasked);
    if (fault !== undefined) {
      this.#fail(fault.code, fault.reason);
      return;
    }
    const length = second & 127;
    this.#opcode = first & 15;
    this.#left = length;
    const extended = length === 126 ? 2 : length === 127 ? 8 : 0;
    const more = extended + (this.#isMasked ? 4 : 0);
    if (more > 0) this.#expect('length', more);
    else this.#begin();
  }

  #parseLength(part: Uint8Array): void {
    const extended = part.length - (this.#isMasked ? 4 : 0);
    if (extended > 0) {
      let length = 0;
      for (let i = 0; i < extended; i++) length = length * 256 + (part[i] as number);
      this.#left = length;
    }
    if (this.#isMasked) {
      this.#hasMask = uint32(part, extended) !== 0;
      if (this.#hasMask) this.#mask.set(part.subarray(extended));
    }
    this.#begin();
  }

  #begin(): void {
    this.#position = 0;
    if (this.#opcode >= OPCODE.close) this.#beginControl();
    else if (this.#left > this.#maxMessageBytes) this.#fail(1009, 'message is too long');
    else if (this.#left < PREAMBLE_BYTES) this.#refuse('frame is shorter than its preamble');
    else this.#expect('preamble', PREAMBLE_BYTES);
  }

  #beginControl(): void {
    if (this.#left > 0) {
      this.#expect('control', this.#left);
      return;
    }
    this.#expect('frame', 2);
    this.#sink.control(this.#opcode, NO_BYTES);
  }

  #parsePreamble(part: Uint8Array): void {
    this.#left -= PREAMBLE_BYTES;
    this.#headerBytes = uint32(part, 0);
    this.#payloadBytes = uint32(part, 4);
    const start = payloadOffset(this.#headerBytes);
    if (this.#headerBytes > MAX_HEADER_BYTES) this.#refuse('header is too long');
    else if (this.#left + PREAMBLE_BYTES !== start + this.#payloadBytes) {
      this.#refuse('frame length does not match its preamble');
    } else if (start === PREAMBLE_BYTES) this.#refuse('empty header');
    else this.#expect('header', start - PREAMBLE_BYTES);
  }

  #parseHeader(part: Uint8Array): void {
    this.#left -= part.length;
    let message: Message;
    try {
      for (let i = this.#headerBytes; i < part.length; i++) if (part[i] !== 0) throw notZero();
      message = readHeader(part.subarray(0, this.#headerBytes), this.#payloadBytes);
    } catch (error) {
      this.#sink.malformed(error as PsError);
      this.#state = 'discard';
      this.#endIfDone();
      return;
    }
    if (this.#payloadBytes === 0) {
      this.#expect('frame', 2);
      this.#sink.message(message, NO_BYTES);
      return;
    }
    this.#message = message;
    this.#place = this.#sink.place(message, this.#payloadBytes);
    if (this.#state === 'failed') return;
    this.#target = this.#place?.bytes ?? new Uint8Array(this.#payloadBytes);
    this.#filled = 0;
    this.#state = 'payload';
  }

  #fill(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#left, bytes.length - at);
    this.#target.set(bytes.subarray(at, at + count), this.#filled);
    if (this.#hasMask) this.#unmask(this.#target.subarray(this.#filled, this.#filled + count));
    this.#filled += count;
    this.#left -= count;
    if (this.#left > 0) {
      this.#place?.onFilled?.(this.#filled);
      this.#sink.progress?.();
    } else {
      const message = this.#message as Message;
      const target = this.#target;
      this.#message = undefined;
      this.#forgetTarget();
      this.#expect('frame', 2);
      this.#sink.message(message, target);
    }
    return at + count;
  }

  #discard(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#left, bytes.length - at);
    this.#left -= count;
    this.#endIfDone();
    return at + count;
  }

  #refuse(what: string): void {
    this.#sink.malformed(new PsError('PS_PROTOCOL', `malformed message: ${what}`));
    this.#state = 'discard';
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#state === 'discard' && this.#left === 0) this.#expect('frame', 2);
  }

  /** Undoes the mask in place. Only kept bytes and targets come here: memory of our own. */
  #unmask(part: Uint8Array): void {
    if (this.#hasMask) {
      for (let i = 0; i < part.length; i++) {
        part[i] = (part[i] as number) ^ (this.#mask[(this.#position + i) & 3] as number);
      }
    }
    this.#position += part.length;
  }

  #expect(state: State, needed: number): void {
    if (this.#state === 'failed') return;
    this.#state = state;
    this.#needed = needed;
    this.#kept = 0;
    if (state === 'frame') this.#hasMask = false;
  }

  #fail(code: number, reason: string): void {
    this.stop();
    this.#sink.fail(code, reason);
  }
}

function notZero(): PsError {
  return new PsError('PS_PROTOCOL', 'malformed message: padding is not zero');
}
