/**
 * The way out of one connection: small messages at once, large transfers chunk by chunk while the
 * system takes them. So at most a window of a transfer is in memory, and a small message never
 * waits behind more than that window. Transfers go out one after the other, in order.
 */
import { smallBytes } from '../../core/base/smallBytes.js';
import { encodeFrame } from '../../core/protocol/codec.js';
import type { Message } from '../../core/protocol/messages.js';
import type { OutgoingPart, OutgoingStream } from '../../core/protocol/outgoingStream.js';
import type { Transport } from './transport.js';

interface Sending {
  readonly stream: OutgoingStream;
  /** Parts that the system has not taken, where they are sent from the stream's own memory. */
  untaken: number;
  isWhole: boolean;
}

/** Sends messages and streams over one transport. */
export class Outbox {
  readonly #transport: Transport;
  readonly #windowBytes: number;
  readonly #onStreamEnded: (id: number) => void;
  /** Streams that are not wholly handed over, in order. */
  readonly #streams: Sending[] = [];
  /** Streams that are handed over and not wholly taken. */
  readonly #leaving = new Set<Sending>();
  /** Parts of streams that the system has not taken. */
  #untakenParts = 0;
  #isPumping = false;
  #isClosed = false;

  /** `onStreamEnded` is called once per stream: when its memory is no longer needed, or at `close`. */
  constructor(transport: Transport, windowBytes: number, onStreamEnded: (id: number) => void) {
    this.#transport = transport;
    this.#windowBytes = windowBytes;
    this.#onStreamEnded = onStreamEnded;
  }

  /** Bytes that the system has not taken yet. */
  get bufferedBytes(): number {
    return this.#transport.bufferedBytes;
  }

  /** Streams that are not wholly sent. */
  get pendingStreams(): number {
    return this.#streams.length;
  }

  /**
   * Sends one message now; its payload is copied before this returns. `whenTaken` is called once, when
   * the system has taken the message, or the connection has ended.
   */
  send(message: Message, payload?: Uint8Array, whenTaken?: () => void): void {
    const transport = this.#transport;
    if (this.#isClosed) {
      if (whenTaken !== undefined) queueMicrotask(whenTaken);
    } else if (transport.sendMessage !== undefined) transport.sendMessage(message, payload, false, whenTaken);
    else transport.send(encodeFrame(message, payload), whenTaken);
  }

  /** Sends a transfer after those before it. */
  stream(stream: OutgoingStream): void {
    if (this.#isClosed) {
      this.#onStreamEnded(stream.id);
      return;
    }
    this.#streams.push({ stream, untaken: 0, isWhole: false });
    this.#pump();
  }

  /** Drops what is not sent. Every stream is reported as ended. REQUIRES: the transport has ended. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const ended = [...this.#leaving, ...this.#streams.splice(0)];
    this.#leaving.clear();
    for (const { stream } of ended) this.#onStreamEnded(stream.id);
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (!this.#isClosed && this.#streams.length > 0 && this.#hasRoom()) {
      const sending = this.#streams[0] as Sending;
      const part = sending.stream.next();
      if (part !== undefined) {
        this.#sendPart(sending, part);
        continue;
      }
      this.#streams.shift();
      if (sending.untaken === 0) {
        this.#onStreamEnded(sending.stream.id);
        continue;
      }
      sending.isWhole = true;
      this.#leaving.add(sending);
    }
    this.#isPumping = false;
  }

  /** One part may always leave: only a part that is taken brings on the next, other messages do not. */
  #hasRoom(): boolean {
    return this.#untakenParts === 0 || this.#transport.bufferedBytes < this.#windowBytes;
  }

  #sendPart(sending: Sending, { message, payload, more, release }: OutgoingPart): void {
    this.#untakenParts++;
    if (this.#transport.sendMessage === undefined) {
      this.#transport.send(encodeFrame(message, payload, smallBytes, more), () => {
        this.#untakenParts--;
        this.#pump();
      });
      release?.();
      return;
    }
    sending.untaken++;
    const whenTaken = (): void => {
      this.#untakenParts--;
      sending.untaken--;
      release?.();
      this.#endIfTaken(sending);
      this.#pump();
    };
    this.#transport.sendMessage(message, payload, true, whenTaken, more);
  }

  #endIfTaken(sending: Sending): void {
    if (!sending.isWhole || sending.untaken > 0 || !this.#leaving.delete(sending)) return;
    this.#onStreamEnded(sending.stream.id);
  }
}
