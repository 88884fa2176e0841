/**
 * A worker core with its two neighbours played by the test: the caller, who gives commands, and the
 * network, which is an array of effects and a function that says what arrived. No sockets, no timers.
 */
import type { PsErrorCode } from '../../../src/core/base/errors.js';
import { type PsError, wireCodeOf } from '../../../src/core/base/errors.js';
import { encodeCatalogue } from '../../../src/core/protocol/catalogueCodec.js';
import {
  type Fault,
  MessageType,
  type PullResult,
  type PushResult,
  type ServerMessage,
  type WorkerMessage,
} from '../../../src/core/protocol/messages.js';
import { bytesOf } from '../../../src/core/protocol/modelStream.js';
import type { OutgoingPart, OutgoingStream } from '../../../src/core/protocol/outgoingStream.js';
import type { Welcome } from '../../../src/core/protocol/sessionMessages.js';
import { Catalogue, type TensorSpec } from '../../../src/core/tensor/catalogue.js';
import type {
  PullCommand,
  PushCommand,
  RequestValue,
  WorkerEffect,
  WorkerEvent,
  WorkerObservation,
} from '../../../src/core/worker/events.js';
import { WorkerCore, type WorkerCoreOptions } from '../../../src/core/worker/workerCore.js';

type Timeless<E> = E extends WorkerEvent ? Omit<E, 'now'> : never;

/** a: 2 × 3, b: 4, c: a scalar that is not trainable. */
export const SPECS: readonly TensorSpec[] = [
  { name: 'a', shape: [2, 3], dtype: 'float32', trainable: true },
  { name: 'b', shape: [4], dtype: 'float32', trainable: true },
  { name: 'c', shape: [], dtype: 'float32', trainable: false },
];

const OPTIONS: WorkerCoreOptions = {
  id: 'w',
  session: '0'.repeat(32),
  readOnly: false,
  connectTimeoutMs: 30_000,
  seed: 1,
  reconnect: {
    retries: Number.POSITIVE_INFINITY,
    minDelayMs: 500,
    maxDelayMs: 30_000,
    maxOfflineMs: 600_000,
  },
  limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 1024 },
};

export class Harness {
  readonly core: WorkerCore;
  now = 0;
  /** Everything the core has done, in order. */
  readonly effects: WorkerEffect[] = [];
  readonly streams: OutgoingStream[] = [];
  connection = 0;
  #lastRequest = 0;
  #isWelcomed = false;
  #read = 0;

  constructor(options: Partial<WorkerCoreOptions> = {}) {
    this.core = new WorkerCore({ ...OPTIONS, ...options });
  }

  /** Feeds one event; returns the effects of it. */
  step(event: Timeless<WorkerEvent>): readonly WorkerEffect[] {
    const effects = this.core.step({ ...event, now: this.now } as WorkerEvent);
    for (const effect of effects) {
      if (effect.kind === 'connect') this.connection = effect.connection;
      if (effect.kind === 'stream') this.streams.push(effect.stream);
      this.effects.push(effect);
    }
    return effects;
  }

  /** Lets time pass, waking the core whenever it asked for it. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (let due = this.core.nextTickAt(); due <= until; due = this.core.nextTickAt()) {
      this.now = Math.max(this.now, due);
      this.step({ kind: 'tick' });
    }
    this.now = until;
  }

  // The caller.

  /** A command; returns its request number. */
  request(command: object): number {
    const request = ++this.#lastRequest;
    this.step({ request, ...command } as never);
    return request;
  }

  pull(command: Partial<PullCommand> = {}): number {
    return this.request({
      kind: 'pull',
      tensors: undefined,
      into: undefined,
      training: true,
      ifNewerThan: undefined,
      wait: false,
      consistent: true,
      timeoutMs: 60_000,
      ...command,
    });
  }

  /** Pushes a gradient of a and b, filled with `value`. */
  push(value = 1, command: Partial<PushCommand> = {}): number {
    const values = [new Float32Array(6).fill(value), new Float32Array(4).fill(value)];
    const rest = { metrics: undefined, examples: undefined };
    return this.request({ kind: 'push', tensors: [0, 1], values, tick: false, ...rest, ...command });
  }

  clock(operation: 'enter' | 'leave' | 'tick'): number {
    return this.request({ kind: 'clock', operation });
  }

  // The network.

  /** Connects as far as Welcome. */
  open(welcome: Partial<Welcome> = {}, specs: readonly TensorSpec[] = SPECS): number {
    const request = this.request({ kind: 'connect' });
    this.accept(welcome, specs);
    return request;
  }

  /** The server takes the connection that was asked for. */
  accept(welcome: Partial<Welcome> = {}, specs: readonly TensorSpec[] = SPECS): void {
    this.step({ kind: 'opened', connection: this.connection });
    // A server that does not say otherwise knows the worker again.
    const resumed = this.#isWelcomed;
    this.#isWelcomed = true;
    this.receive(welcomeOf({ resumed, ...welcome }), encodeCatalogue(new Catalogue(specs)));
  }

  receive(message: ServerMessage, payload: Uint8Array = new Uint8Array(0)): void {
    this.step({ kind: 'message', connection: this.connection, message, payload });
  }

  /** A part of a message has come. */
  progress(): void {
    this.step({ kind: 'progress', connection: this.connection });
  }

  /** The connection ends. */
  drop(code = 1006, reason = 'gone', cause?: unknown): void {
    this.step({ kind: 'closed', connection: this.connection, code, reason, cause });
  }

  /** The connection ends, the backoff passes, and the server takes the next one. */
  reconnect(welcome: Partial<Welcome> = {}): void {
    this.drop();
    this.redial();
    this.accept(welcome);
  }

  /** Lets time pass until the next attempt. */
  redial(): void {
    const before = this.connection;
    while (this.connection === before && Number.isFinite(this.core.nextTickAt())) {
      this.pass(Math.max(0, this.core.nextTickAt() - this.now));
    }
  }

  answerPull(wire: number, values: readonly number[], result: Partial<PullResult> = {}): void {
    const payload = bytesOf(Float32Array.from(values));
    this.receive(pullResultOf(wire, { bytes: payload.length, ...result }), payload);
  }

  answerPush(seq: number, result: Partial<PushResult> = {}): void {
    const t = MessageType.pushResult;
    const rest = {
      outcome: 'applied',
      duplicate: false,
      version: seq,
      delay: 0,
      clock: 0,
      minClock: 0,
    } as const;
    this.receive({ t, seq, ...rest, ...result });
  }

  refuse(code: PsErrorCode, fault: Partial<Fault> = {}): void {
    this.receive({ t: MessageType.fault, code: wireCodeOf(code), message: `refused: ${code}`, ...fault });
  }

  // What came out.

  /** The messages sent since the last look; streamed ones are read to their end, and reported as ended. */
  sent(): WorkerMessage[] {
    return this.sentParts().map(({ message }) => message);
  }

  /** As `sent`, with payloads. */
  sentParts(): { message: WorkerMessage; payload: Uint8Array }[] {
    const parts: { message: WorkerMessage; payload: Uint8Array }[] = [];
    while (this.#read < this.effects.length) {
      const effect = this.effects[this.#read++] as WorkerEffect;
      if (effect.kind === 'send') {
        parts.push({ message: effect.message, payload: effect.payload?.slice() ?? new Uint8Array(0) });
      } else if (effect.kind === 'stream') {
        const { stream } = effect;
        for (let part = stream.next(); part !== undefined; part = stream.next()) {
          parts.push({ message: part.message as WorkerMessage, payload: part.payload.slice() });
        }
        this.step({ kind: 'streamEnded', stream: stream.id });
      }
    }
    return parts;
  }

  /** How `request` ended: its value, or its error; undefined: it has not. */
  outcome(request: number): { value?: RequestValue; error?: PsError } | undefined {
    const ends = this.effects.filter(
      (each) => (each.kind === 'settle' || each.kind === 'fail') && each.request === request,
    );
    if (ends.length > 1) throw new Error(`request ${request} ended ${ends.length} times`);
    const [end] = ends;
    if (end?.kind === 'settle') return { value: end.value };
    if (end?.kind === 'fail') return { error: end.error };
    return undefined;
  }

  code(request: number): PsErrorCode | undefined {
    return this.outcome(request)?.error?.code;
  }

  observed<K extends WorkerObservation['kind']>(kind: K): Extract<WorkerObservation, { kind: K }>[] {
    const found: WorkerObservation[] = [];
    for (const each of this.effects) if (each.kind === 'observe') found.push(each.observation);
    return found.filter((each): each is Extract<WorkerObservation, { kind: K }> => each.kind === kind);
  }

  /** How many effects of `kind` there were. */
  count(kind: WorkerEffect['kind']): number {
    return this.effects.filter((each) => each.kind === kind).length;
  }
}

export function welcomeOf(welcome: Partial<Welcome> = {}): Welcome {
  return {
    t: MessageType.welcome,
    protocol: 1,
    incarnation: 'life-1',
    lineage: 'line-1',
    shardIndex: 0,
    shardCount: 1,
    epoch: 1,
    resumed: false,
    committedSeq: 0,
    clock: 0,
    minClock: 0,
    version: 0,
    chunkBytes: 1024,
    maxUnansweredPushes: 4,
    leaseMs: 30_000,
    pingMs: 10_000,
    maxStepMs: 600_000,
    pullTimeoutMs: 60_000,
    ...welcome,
  };
}

export function pullResultOf(request: number, result: Partial<PullResult> = {}): PullResult {
  const t = MessageType.pullResult;
  return { t, request, version: 1, clock: 0, minClock: 0, bytes: 44, notModified: false, ...result };
}

/** The values of a whole model of `SPECS`. */
export const MODEL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/** What is left of `stream`. */
export function partsOf(stream: OutgoingStream | undefined): OutgoingPart[] {
  const parts: OutgoingPart[] = [];
  for (let part = stream?.next(); part !== undefined; part = stream?.next()) parts.push(part);
  return parts;
}

/** The bytes of a push's messages together, and whether each begins where the one before it ends. */
export function offsetsOf(parts: readonly OutgoingPart[]): { bytes: number; isContiguous: boolean } {
  let bytes = 0;
  let isContiguous = true;
  for (const { message, payload } of parts) {
    if (message.t === MessageType.pushChunk) isContiguous &&= message.offset === bytes;
    bytes += payload.length;
  }
  return { bytes, isContiguous };
}
