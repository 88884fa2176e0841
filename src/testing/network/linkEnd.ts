/**
 * One end of a simulated connection: a transport like those over sockets, in one process. It can take
 * frames in two parts without copying them; their bytes are read when the line takes them, so memory
 * that changes too early shows.
 */
import { smallCopy } from '../../core/base/smallBytes.js';
import { bytesOfPieces, encodeFrame, encodeHead } from '../../core/protocol/codec.js';
import { MAX_HEADER_BYTES, PREAMBLE_BYTES } from '../../core/protocol/limits.js';
import type { Message } from '../../core/protocol/messages.js';
import type { Transport, TransportHandlers } from '../../io/transport/transport.js';
import { Carried, type Destination, type Direction, type DirectionParts } from './direction.js';
import type { SimProcess } from './simProcess.js';

/** A closed connection that was never confirmed is cut off after this. */
const CLOSE_TIMEOUT_MS = 3_000;
const NO_BYTES = new Uint8Array(0);
const scratch = new Uint8Array(PREAMBLE_BYTES + MAX_HEADER_BYTES);

/** A frame that the line has not taken yet. */
interface Untaken {
  readonly carried: Carried;
  readonly takenAt: number;
  readonly whenTaken: (() => void) | undefined;
}

/** An end of a connection. */
export class LinkEnd implements Transport, Destination {
  readonly process: SimProcess;
  readonly #parts: DirectionParts;
  readonly #out: Direction;
  readonly #in: Direction;
  readonly #onEnd: () => void;
  readonly #untaken: Untaken[] = [];
  #handlers: TransportHandlers | undefined;
  #isPaused = false;
  #isClosing = false;
  #isEnded = false;
  /** Sends payloads from where they are; absent where the process copies them first. */
  readonly sendMessage?: NonNullable<Transport['sendMessage']>;

  constructor(
    parts: DirectionParts & { readonly isZeroCopy: boolean },
    process: SimProcess,
    ways: { readonly out: Direction; readonly into: Direction },
    onEnd: () => void,
  ) {
    this.#parts = parts;
    this.process = process;
    this.#out = ways.out;
    this.#in = ways.into;
    this.#onEnd = onEnd;
    ways.into.leadTo(this);
    if (parts.isZeroCopy) {
      this.sendMessage = (message, payload = NO_BYTES, mayKeep, whenTaken, more = []) => {
        const pieces = mayKeep
          ? [headOf(message, bytesOfPieces(payload, more)), payload, ...more]
          : [encodeFrame(message, payload)];
        this.#send(pieces, whenTaken);
      };
    }
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get bufferedBytes(): number {
    const { now } = this.#parts.timeline;
    let bytes = 0;
    for (const { takenAt, carried } of this.#untaken) if (takenAt > now) bytes += carried.bytes;
    return bytes;
  }

  attach(handlers: TransportHandlers): void {
    this.#handlers = handlers;
  }

  send(frame: Uint8Array, whenTaken?: () => void): void {
    this.#send([frame], whenTaken);
  }

  #send(pieces: readonly Uint8Array[], whenTaken: (() => void) | undefined): void {
    if (this.#isClosing || this.#isEnded) {
      if (whenTaken !== undefined) this.process.after(0, whenTaken);
      return;
    }
    const carried = new Carried(pieces);
    const takenAt = this.#out.carry(carried);
    const { timeline } = this.#parts;
    if (whenTaken === undefined && pieces.length === 1 && takenAt <= timeline.now) return;
    const untaken: Untaken = { carried, takenAt, whenTaken };
    this.#untaken.push(untaken);
    if (takenAt === Number.POSITIVE_INFINITY) return;
    timeline.at(takenAt, () => {
      if (this.#isEnded || !this.process.isAlive) return;
      // Mostly it is the first.
      if (this.#untaken[0] === untaken) this.#untaken.shift();
      else this.#untaken.splice(this.#untaken.indexOf(untaken), 1);
      carried.take();
      if (whenTaken !== undefined) this.process.run(whenTaken);
    });
  }

  receive(frame: Uint8Array): void {
    this.#handlers?.onFrame(frame);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#in.pump();
  }

  close(code: number, reason: string): void {
    if (this.#isClosing || this.#isEnded) return;
    this.#isClosing = true;
    this.#out.end(code, reason);
    this.process.after(CLOSE_TIMEOUT_MS, () => this.end(1006, 'the other end did not confirm'));
  }

  terminate(): void {
    if (this.#isEnded) return;
    this.#isClosing = true;
    if (this.#parts.random.nextInt(2) === 0) this.#out.drop();
    this.#out.end(1006, 'terminated');
    this.#in.drop();
    this.process.after(0, () => this.end(1006, 'terminated'));
  }

  /** The connection has ended, as far as this end can tell. Confirms it to the other end. */
  end(code: number, reason: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#in.drop();
    this.loseUntaken();
    this.#out.end(code, reason);
    const handlers = this.#handlers;
    this.#handlers = undefined;
    this.#onEnd();
    for (const { whenTaken } of this.#untaken.splice(0)) whenTaken?.();
    handlers?.onClose(code, reason);
  }

  /** What the line has not taken will never arrive. */
  loseUntaken(): void {
    for (const { carried } of this.#untaken) carried.lose();
  }
}

/** The bytes of a frame before its payload. */
function headOf(message: Message, payloadBytes: number): Uint8Array {
  return smallCopy(scratch.subarray(0, encodeHead(message, payloadBytes, scratch, 0)));
}
