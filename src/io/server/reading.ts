/**
 * Whether one connection is read from: not while the core has no room for what it sends, not while it asks without
 * reading the answers, and not while it is the others' turn, if there are others. Also knows whether a message of it has
 * begun and not ended.
 */
import { monotonicNow } from '../time.js';
import type { Outbox } from '../transport/outbox.js';
import type { Transport } from '../transport/transport.js';
import type { Company } from './company.js';
import type { Wire } from './linkWatch.js';

/** Answers in several chunks that may wait for one another; with more the connection is not read from. */
const MAX_WAITING_STREAMS = 16;
/** Messages in one read of the socket. Who waits for answers sends fewer at once, and large ones don't fit. */
const MAX_MESSAGES_AT_ONCE = 16;
/** Who sends more has this share of the server's time beside others: one of so many. */
const SHARE = 5;
const MAX_PAUSE_MS = 100;
/** Others from whom nothing came for so long don't want the time. */
const COMPANY_MS = 1000;

/** Why a connection is not read from. */
type Stop = 'room' | 'answers' | 'turn';

/** The reading side of one connection. */
export class Reading {
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #wire: Wire;
  readonly #pauseOutboundBytes: number;
  readonly #company: Company;
  readonly #now: () => number;
  readonly #stops = new Set<Stop>();
  /** Bytes that had been read when the last message was whole: with more, one is under way. */
  #mark: number;
  /** Messages of the last read so far, and when the first of them came. */
  #atOnce = 0;
  #since = 0;
  /** How much longer the others should have come first: timers count whole milliseconds. */
  #owedMs = 0;

  constructor(
    transport: Transport,
    outbox: Outbox,
    wire: Wire,
    pauseOutboundBytes: number,
    company: Company,
    now: () => number = monotonicNow,
  ) {
    this.#transport = transport;
    this.#outbox = outbox;
    this.#wire = wire;
    this.#pauseOutboundBytes = pauseOutboundBytes;
    this.#company = company;
    this.#now = now;
    this.#mark = wire.bytesRead;
  }

  /** Whether a message has begun to arrive, and the server reads. */
  get isInMessage(): boolean {
    return this.#wire.bytesRead > this.#mark && this.#stops.size === 0;
  }

  /** A message has come whole. */
  messageEnded(now: number): void {
    const { bytesRead } = this.#wire;
    this.#company.heard(this, now);
    // Where nothing is counted, every message may be of another read.
    if (bytesRead === this.#mark && Number.isFinite(bytesRead)) this.#atOnce++;
    else [this.#atOnce, this.#since] = [1, now];
    this.#mark = bytesRead;
    if (this.#atOnce > MAX_MESSAGES_AT_ONCE) this.#yield();
  }

  /** The others come first: for as long as leaves this one its share, or for one turn of the event loop where there are none. */
  #yield(): void {
    this.#atOnce = 0;
    this.#stop('turn');
    // Answers are written in a microtask, and that is a part of what they take.
    queueMicrotask(() => this.#rest(this.#now()));
  }

  #rest(now: number): void {
    const isAlone = now - this.#company.heardBeside(this) > COMPANY_MS;
    const owedMs = this.#owedMs + (SHARE - 1) * (now - this.#since);
    this.#owedMs = isAlone ? 0 : Math.min(MAX_PAUSE_MS, owedMs);
    const goOn = (): void => {
      this.#since = this.#now();
      this.#owedMs = Math.max(0, this.#owedMs - (this.#since - now));
      this.#goOn('turn');
    };
    if (this.#owedMs < 1) setImmediate(goOn);
    else setTimeout(goOn, this.#owedMs).unref?.();
  }

  /** The core has no room for more, or has again. */
  hold(isHeld: boolean): void {
    if (isHeld) this.#stop('room');
    else this.#goOn('room');
  }

  /** Something was sent, or time has passed: stops or goes on as the other end reads. */
  look(): void {
    const { bufferedBytes, pendingStreams } = this.#outbox;
    const isFull = bufferedBytes > this.#pauseOutboundBytes || pendingStreams > MAX_WAITING_STREAMS;
    const isRoomy =
      bufferedBytes <= this.#pauseOutboundBytes / 2 && pendingStreams <= MAX_WAITING_STREAMS / 2;
    if (isFull) this.#stop('answers');
    else if (isRoomy) this.#goOn('answers');
  }

  #stop(reason: Stop): void {
    if (this.#stops.size === 0) this.#transport.pause();
    this.#stops.add(reason);
  }

  #goOn(reason: Stop): void {
    if (this.#stops.delete(reason) && this.#stops.size === 0) this.#transport.resume();
  }
}
