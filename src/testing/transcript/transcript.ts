/**
 * A simulated run as lines of text: when, who, what. Messages appear where they arrive, with an arrow from
 * their sender.
 *
 *          time  who      what
 *        12.300  server   ← a  push 1 of clock 0, 64 of 64 bytes, tick to 1
 *        12.300  server   update by a of clock 0: version 1, delay 0
 */
import { type Message, MessageType } from '../../core/protocol/messages.js';
import type { Observation, ServerEffect, ServerEvent } from '../../core/server/events.js';
import type { WorkerObservation } from '../../core/worker/events.js';
import type { ClusterObserver } from '../cluster/observer.js';
import { textOf } from './messageText.js';

/** What is left out of a transcript. */
export interface TranscriptOptions {
  /** Leave out chunks behind the first, and signs of life. */
  readonly isShort: boolean;
}

const NOISE: ReadonlySet<number> = new Set([
  MessageType.ping,
  MessageType.pong,
  MessageType.pushChunk,
  MessageType.pullChunk,
]);

/** Writes down what it sees. */
export class Transcript implements ClusterObserver {
  readonly lines: string[] = [];
  readonly #now: () => number;
  readonly #isShort: boolean;
  readonly #names = new Map<number, string>();

  /** `now`: virtual milliseconds. */
  constructor(now: () => number, options: TranscriptOptions = { isShort: false }) {
    this.#now = now;
    this.#isShort = options.isShort;
  }

  note(actor: string, text: string): void {
    this.#write(actor, text);
  }

  serverReceives(connection: number, message: Message, payload: Uint8Array): void {
    if (message.t === MessageType.hello) this.#names.set(connection, message.session);
    if (this.#isShort && NOISE.has(message.t)) return;
    this.#write('server', `← ${this.#nameOf(connection)}  ${textOf(message, payload.length)}`);
  }

  workerReceives(worker: string, process: number, message: Message, payload: Uint8Array): void {
    if (this.#isShort && NOISE.has(message.t)) return;
    this.#write(`${worker}#${process}`, `← server  ${textOf(message, payload.length)}`);
  }

  workerObserves(worker: string, process: number, observation: WorkerObservation): void {
    const text = workerText(observation);
    if (text !== undefined) this.#write(`${worker}#${process}`, text);
  }

  serverStepped(event: ServerEvent | undefined, effects: readonly ServerEffect[]): void {
    if (event?.kind === 'closed')
      this.#write('server', `lost the connection of ${this.#nameOf(event.connection)}`);
    if (event?.kind === 'malformed') this.#write('server', `malformed: ${event.error.message}`);
    for (const effect of effects) {
      if (effect.kind === 'observe') {
        const text = serverText(effect.observation);
        if (text !== undefined) this.#write('server', text);
      } else if (effect.kind === 'close') {
        this.#write(
          'server',
          `closes the connection of ${this.#nameOf(effect.connection)}: ${effect.code} ${effect.reason}`,
        );
      } else if (effect.kind === 'pause' || effect.kind === 'resume') {
        this.#write('server', `${effect.kind}s reading from ${this.#nameOf(effect.connection)}`);
      }
    }
  }

  #nameOf(connection: number): string {
    return this.#names.get(connection) ?? `connection ${connection}`;
  }

  #write(actor: string, text: string): void {
    this.lines.push(`${this.#now().toFixed(3).padStart(12)}  ${actor.padEnd(8)} ${text}`);
  }
}

function serverText(observation: Observation): string | undefined {
  switch (observation.kind) {
    case 'join':
      return `${observation.role} ${observation.id} joins, epoch ${observation.epoch}`;
    case 'leave':
      return `${observation.id} leaves: ${observation.reason}`;
    case 'update': {
      const { version, workers, clock, delay, scaled } = observation;
      return `update by ${workers.join(', ')} of clock ${clock}: version ${version}, delay ${delay}${scaled ? ', scaled' : ''}`;
    }
    case 'clock':
      return `minClock ${observation.minClock}`;
    case 'dropped':
      return `drops a push of ${observation.id} of clock ${observation.clock}, delay ${observation.delay}`;
    case 'rejected':
      return `refuses ${observation.id ?? 'a connection'}: ${observation.error.code} ${observation.error.message}`;
    case 'error':
      return `error: ${observation.error.message}`;
    case 'warning':
      return `warning: ${observation.message}`;
    case 'metrics':
      return undefined;
  }
}

function workerText(observation: WorkerObservation): string | undefined {
  switch (observation.kind) {
    case 'connecting':
      return `connects, attempt ${observation.attempt}`;
    case 'reconnecting':
      return `lost its connection (${observation.error.code}), tries again in ${observation.delayMs.toFixed(1)} ms`;
    case 'rollback': {
      const { lostPushes, unansweredPushes, clock } = observation.rollback;
      return `rollback to clock ${clock}: ${lostPushes} pushes lost, ${unansweredPushes} of them unanswered`;
    }
    case 'closed':
      return observation.error === undefined ? 'has closed' : `has ended: ${observation.error.message}`;
    default:
      return undefined;
  }
}
