/**
 * Runs a server core: feeds it the transports' events and the passing of time, and carries out its
 * effects in order, within the turn. What effects bring about meanwhile waits in a queue, so the core
 * is never entered twice at once.
 */
import { PsError } from '../../core/base/errors.js';
import { decodeFrame } from '../../core/protocol/codec.js';
import { MAX_HEADER_BYTES } from '../../core/protocol/limits.js';
import {
  type Message,
  MessageType,
  type ServerMessage,
  type WorkerMessage,
} from '../../core/protocol/messages.js';
import type { Observation, Principal, ServerEffect, ServerEvent } from '../../core/server/events.js';
import type { JournalRecord } from '../../core/server/records.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import { monotonicNow, timerMs } from '../time.js';
import { Outbox } from '../transport/outbox.js';
import type { StreamHandlers, Transport } from '../transport/transport.js';
import { Company } from './company.js';
import { type Begin, Ending } from './ending.js';
import { LinkWatch, type RateLimits, type Wire } from './linkWatch.js';
import { Reading } from './reading.js';
import { untilHello } from './untilHello.js';

/** Transfers to one connection that the system has not taken: about so many bytes at a time. */
const WINDOW_BYTES = 2_097_152;
/** Time-outs are looked at in steps of this, or of a quarter of a lease: longer ones would look like a pause. */
const TICK_MS = 50;
/** How often minimum rates are looked at. */
const WATCH_MS = 500;

interface Link {
  readonly transport: Transport;
  readonly outbox: Outbox;
  readonly watch: LinkWatch;
  readonly onClosed: (connection: number) => void;
  readonly wire: Wire;
  readonly reading: Reading;
}

/** What has passed through, for `stats()`. */
export interface Traffic {
  receivedBytes: number;
  receivedMessages: number;
}

/** Takes the core's records, to make them durable. */
export interface RecordSink {
  append(number: number, record: JournalRecord): void;
  /** The effects of a turn have been carried out. */
  flush(): void;
  onTick(now: number): void;
  /** The core has stopped for good. */
  coreFailed(error: PsError): void;
}

/** Drives one core. */
export class CoreRunner {
  readonly traffic: Traffic = { receivedBytes: 0, receivedMessages: 0 };
  /** When it was made. */
  readonly beganAt: number = monotonicNow();
  readonly #core: ServerCore;
  readonly #rates: RateLimits;
  readonly #tickMs: number;
  readonly #observe: (observation: Observation) => void;
  readonly #links = new Map<number, Link>();
  readonly #queue: (() => readonly ServerEffect[])[] = [];
  /** Where records go; undefined: nowhere. */
  records: RecordSink | undefined;
  /** Answers what the core can't. */
  onAsk: ((effect: Extract<ServerEffect, { kind: 'ask' }>) => void) | undefined;
  readonly #awaited = new Set<{ readonly holds: () => boolean; done(): void; giveUp(): void }>();
  #isRunning = false;
  readonly #ending = new Ending();
  readonly #company = new Company();
  #nextConnection = 1;
  /** Bytes written to sockets that have closed. */
  #sentBytes = 0;
  #watchAt = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #onDrained: (() => void) | undefined;

  constructor(
    core: ServerCore,
    limits: RateLimits & { readonly leaseMs: number },
    observe: (observation: Observation) => void,
  ) {
    this.#core = core;
    this.#rates = limits;
    this.#tickMs = Math.max(1, Math.min(TICK_MS, limits.leaseMs / 4));
    this.#observe = observe;
  }

  /** Why it has stopped for good: a bug of ours. */
  get failure(): PsError | undefined {
    return this.#ending.failure;
  }

  /** What `begin` promises of the core. Rejects with `failure` when that comes first. */
  promise<T>(begin: Begin<T>): Promise<T> {
    return this.#ending.promise(begin);
  }

  /** Open connections. */
  get connections(): number {
    return this.#links.size;
  }

  /** Bytes written to sockets. O(connections). */
  get sentBytes(): number {
    let sum = this.#sentBytes;
    for (const { wire } of this.#links.values()) sum += sentOver(wire);
    return sum;
  }

  /** Starts the passing of time. Does not keep the process alive. */
  start(): void {
    this.#timer = setInterval(() => {
      const now = monotonicNow();
      this.dispatch({ kind: 'tick', now });
      this.records?.onTick(now);
      if (now >= this.#watchAt) this.#watch(now);
    }, this.#tickMs);
    this.#timer.unref?.();
  }

  /**
   * Takes a connection over, and returns its number. `open` makes its transport with the handlers that it is
   * given; `wire` counts the bytes of its socket. `onClosed` is called when it has ended.
   */
  connect(
    principal: Principal,
    open: (handlers: StreamHandlers) => Transport,
    wire: Wire,
    onClosed: (connection: number) => void = () => {},
  ): number {
    const connection = this.#nextConnection++;
    const handlers: StreamHandlers = {
      onFrame: (frame) => this.#onFrame(connection, frame),
      onMessage: (message, payload) => this.#onMessage(connection, message, payload),
      onMalformed: (error) => this.#onMalformed(connection, error),
      onProgress: () => this.#core.onProgress(connection, monotonicNow()),
      place: (message, bytes) =>
        isFromWorker(message) ? this.#core.placeOf(connection, message, bytes) : undefined,
      onText: () =>
        this.#onMalformed(connection, new PsError('PS_PROTOCOL', 'text messages are not spoken here')),
      onControl: () => this.#links.get(connection)?.reading.messageEnded(monotonicNow()),
      onClose: () => this.#onClose(connection),
    };
    const transport = open(untilHello(handlers, () => this.#core.statusOf(connection).isGreeted));
    const outbox = new Outbox(transport, WINDOW_BYTES, (stream) => {
      this.dispatch({ kind: 'streamEnded', stream, now: monotonicNow() });
      this.#links.get(connection)?.reading.look();
    });
    const watch = new LinkWatch(wire, this.#rates);
    const reading = new Reading(transport, outbox, wire, this.#rates.pauseOutboundBytes, this.#company);
    this.#links.set(connection, { transport, outbox, watch, onClosed, wire, reading });
    if (this.failure !== undefined) transport.terminate();
    this.dispatch({ kind: 'connected', connection, principal, now: monotonicNow() });
    return connection;
  }

  /** Gives an event to the core. */
  dispatch(event: ServerEvent): void {
    this.run((core) => core.step(event));
  }

  /** Runs `action` on the core and carries out what it returns, after what is under way. */
  run(action: (core: ServerCore) => readonly ServerEffect[]): void {
    if (this.failure !== undefined) return;
    this.#queue.push(() => action(this.#core));
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const effect of next()) this.#carryOut(effect);
      }
    } catch (cause) {
      this.#fail(cause);
    }
    this.#isRunning = false;
    this.records?.flush();
    for (const { holds, done } of this.#awaited) if (holds()) done();
  }

  /**
   * The core or a transport threw: a bug of ours. What the state is now nobody can say, so nothing more is done
   * with it; the error goes to the server's owner, never into a socket's event.
   */
  #fail(cause: unknown): void {
    const message = `the server has stopped, by a fault of its own: ${String(cause)}`;
    const error = new PsError('PS_INTERNAL', message, { cause });
    this.#queue.length = 0;
    this.#ending.fail(error);
    for (const { transport } of this.#links.values()) transport.terminate();
    this.records?.coreFailed(error);
    for (const { giveUp } of this.#awaited) giveUp();
    this.#observe({ kind: 'error', error });
  }

  /** Resolves to true as soon as `holds` does between two events, to false after `timeoutMs` or at a failure. */
  async until(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    if (holds()) return true;
    if (this.failure !== undefined) return false;
    return new Promise((resolve) => {
      const end = (isReached: boolean): void => {
        clearTimeout(timer);
        this.#awaited.delete(waiter);
        resolve(isReached);
      };
      const waiter = { holds, done: () => end(true), giveUp: () => end(false) };
      const timer = setTimeout(() => end(false), timerMs(timeoutMs));
      this.#awaited.add(waiter);
    });
  }

  /** Resolves when all connections have closed; those that have not after `timeoutMs` are cut off. */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#links.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          for (const { transport } of this.#links.values()) transport.terminate();
        }, timerMs(timeoutMs));
        this.#onDrained = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    clearInterval(this.#timer);
  }

  #watch(now: number): void {
    this.#watchAt = now + WATCH_MS;
    for (const [connection, link] of this.#links) {
      const { transport, outbox, watch, reading } = link;
      reading.look();
      const { bufferedBytes, pendingStreams } = outbox;
      const isSending = pendingStreams > 0 || bufferedBytes > 0;
      const status = this.#core.statusOf(connection);
      const isReceiving = status.isReceiving || reading.isInMessage;
      const state = { ...status, bufferedBytes, isSending, isReceiving };
      const fault = watch.look(now, state);
      if (fault === undefined) continue;
      this.#observe({ kind: 'warning', message: `a connection is cut off: it ${fault}` });
      transport.terminate();
    }
  }

  #onFrame(connection: number, frame: Uint8Array): void {
    let decoded: ReturnType<typeof decodeFrame>;
    try {
      decoded = decodeFrame(frame);
    } catch (error) {
      this.#onMalformed(connection, error as PsError);
      return;
    }
    this.#onMessage(connection, decoded.message, decoded.payload);
  }

  #onMessage(connection: number, message: Message, payload: Uint8Array): void {
    const now = monotonicNow();
    this.#links.get(connection)?.reading.messageEnded(now);
    this.traffic.receivedBytes += payload.length;
    this.traffic.receivedMessages++;
    if (isFromWorker(message)) {
      this.dispatch({ kind: 'message', connection, message, payload, now });
    } else {
      this.#onMalformed(connection, new PsError('PS_PROTOCOL', 'this is a message of servers'));
    }
  }

  #onMalformed(connection: number, error: PsError): void {
    const now = monotonicNow();
    this.#links.get(connection)?.reading.messageEnded(now);
    this.dispatch({ kind: 'malformed', connection, error, now });
  }

  #onClose(connection: number): void {
    const link = this.#links.get(connection);
    if (link === undefined) return;
    this.#links.delete(connection);
    this.#sentBytes += sentOver(link.wire);
    this.dispatch({ kind: 'closed', connection, now: monotonicNow() });
    link.outbox.close();
    link.onClosed(connection);
    if (this.#links.size === 0) this.#onDrained?.();
  }

  #send(connection: number, message: ServerMessage, payload: Uint8Array | undefined): void {
    const link = this.#links.get(connection);
    if (link === undefined) return;
    link.outbox.send(message, payload);
    link.reading.look();
  }

  #carryOut(effect: ServerEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.connection, effect.message, effect.payload);
        break;
      case 'stream': {
        const link = this.#links.get(effect.connection);
        link?.outbox.stream(effect.stream);
        link?.reading.look();
        if (link === undefined) {
          this.dispatch({ kind: 'streamEnded', stream: effect.stream.id, now: monotonicNow() });
        }
        break;
      }
      case 'close':
        this.#links.get(effect.connection)?.transport.close(effect.code, effect.reason);
        break;
      case 'pause':
        this.#links.get(effect.connection)?.reading.hold(true);
        break;
      case 'resume':
        this.#links.get(effect.connection)?.reading.hold(false);
        break;
      case 'continue':
        setImmediate(() => this.dispatch({ kind: 'continue', now: monotonicNow() }));
        break;
      case 'ask':
        this.onAsk?.(effect);
        break;
      case 'observe':
        this.#observe(effect.observation);
        break;
      case 'persist':
        this.records?.append(effect.number, effect.record);
        break;
    }
  }
}

/** What a socket that keeps no count has sent is not known: 0. */
function sentOver({ bytesWritten }: Wire): number {
  return Number.isFinite(bytesWritten) ? bytesWritten : 0;
}

function isFromWorker(message: Message): message is WorkerMessage {
  return message.t < MessageType.welcome;
}

/** Largest message that a server takes: one chunk and its header. */
export function maxMessageBytes(chunkBytes: number): number {
  return chunkBytes + MAX_HEADER_BYTES + 64;
}
