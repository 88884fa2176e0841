/**
 * Whether one connection is read from: not while the core has no room for what it sends, and not while it asks
 * without reading the answers. Also knows whether a message of it has begun and not ended.
 */
import type { Outbox } from '../transport/outbox.js';
import type { Transport } from '../transport/transport.js';
import type { Wire } from './linkWatch.js';

/** Answers in several chunks that may wait for one another; with more the connection is not read from. */
const MAX_WAITING_STREAMS = 16;

/** The reading side of one connection. */
export class Reading {
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #wire: Wire;
  readonly #pauseOutboundBytes: number;
  /** Bytes that had been read when the last message was whole: with more, one is under way. */
  #mark: number;
  #isHeld = false;
  #isChoked = false;

  constructor(transport: Transport, outbox: Outbox, wire: Wire, pauseOutboundBytes: number) {
    this.#transport = transport;
    this.#outbox = outbox;
    this.#wire = wire;
    this.#pauseOutboundBytes = pauseOutboundBytes;
    this.#mark = wire.bytesRead;
  }

  /** Whether a message has begun to arrive, and the server reads. */
  get isInMessage(): boolean {
    return this.#wire.bytesRead > this.#mark && !this.#isHeld && !this.#isChoked;
  }

  /** A message has come whole. */
  messageEnded(): void {
    this.#mark = this.#wire.bytesRead;
  }

  /** The core has no room for more, or has again. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld) this.#transport.pause();
    else if (!this.#isChoked) this.#transport.resume();
  }

  /** Something was sent, or time has passed: stops or goes on as the other end reads. */
  look(): void {
    const { bufferedBytes, pendingStreams } = this.#outbox;
    const isFull = bufferedBytes > this.#pauseOutboundBytes || pendingStreams > MAX_WAITING_STREAMS;
    const isRoomy =
      bufferedBytes <= this.#pauseOutboundBytes / 2 && pendingStreams <= MAX_WAITING_STREAMS / 2;
    if (!this.#isChoked && isFull) {
      this.#isChoked = true;
      this.#transport.pause();
    } else if (this.#isChoked && isRoomy) {
      this.#isChoked = false;
      if (!this.#isHeld) this.#transport.resume();
    }
  }
}
