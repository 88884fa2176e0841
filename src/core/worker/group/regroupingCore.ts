/**
 * A worker of a group that may be made anew in another number of shards, as its urls, which a function gives, then say: a
 * group's core for each such life of the group. When one has ended for that reason the next is connected, within
 * `maxOfflineMs`; the sessions are gone, so it is a rollback. Pushes end with it, everything else is asked again.
 *
 *     together ──another number of shards──▶ moving ──all are met──▶ together
 */
import { PsError } from '../../base/errors.js';
import type { Message } from '../../protocol/messages.js';
import type { Catalogue } from '../../tensor/catalogue.js';
import type { WorkerCommand, WorkerEffect, WorkerEvent, WorkerObservation } from '../events.js';
import { closedError, outcomeUnknown } from '../faults.js';
import { differenceOf } from '../serverIdentity.js';
import type { WorkerMachine } from '../workerMachine.js';
import { GroupCore, type GroupCoreOptions } from './groupCore.js';

/** Callers' requests begin at 1. */
const OWN_REQUEST = 0;

/** What waits while the next group is looked for. */
interface Move {
  readonly since: number;
  /** What is to be asked again, in order. */
  readonly kept: Map<number, WorkerCommand>;
  /** Pushes among it that the former group may have had: they are not. */
  readonly lost: ReadonlySet<number>;
  version: number;
}

/** The pure core of a worker whose group may change. */
export class RegroupingCore implements WorkerMachine {
  readonly #options: GroupCoreOptions;
  #inner: GroupCore;
  /** The model, as first met. */
  #known: Catalogue | undefined;
  #move: Move | undefined;
  /** Why it has ended while no group could be found. */
  #ended: PsError | undefined;
  /** Commands that have not ended. */
  readonly #open = new Map<number, WorkerCommand>();
  #pushes = 0;
  /** Numbers of connections go on from one core to the next; those up to `#before` are of earlier ones. */
  #before = 0;
  #connections = 0;
  #servers = 0;
  /** Transfers of earlier cores whose end is not told yet, by server and number. */
  readonly #streams = new Set<string>();
  readonly #formerStreams = new Set<string>();

  constructor(options: GroupCoreOptions) {
    this.#options = options;
    this.#inner = new GroupCore(options);
  }

  get catalogue(): Catalogue | undefined {
    return this.#known ?? this.#inner.catalogue;
  }

  get clock(): number {
    return this.#inner.clock;
  }

  get clockWhenDone(): number {
    return this.#inner.clockWhenDone;
  }

  get isInTable(): boolean {
    return this.#move === undefined && this.#inner.isInTable;
  }

  get incarnations(): string {
    return this.#inner.incarnations;
  }

  serverOfRow(low: number, high: number): number {
    return this.#inner.serverOfRow(low, high);
  }

  get staleness(): number {
    return this.#inner.staleness;
  }

  get servers(): number {
    return this.#inner.servers;
  }

  get isOpen(): boolean {
    return this.#move === undefined && this.#inner.isOpen;
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined || this.#inner.hasEnded;
  }

  nextTickAt(): number {
    return this.#inner.nextTickAt();
  }

  placeOf(message: Message, bytes: number, server = 0): Uint8Array | undefined {
    return this.#inner.placeOf(message, bytes, server);
  }

  step(event: WorkerEvent): readonly WorkerEffect[] {
    if ('request' in event && event.kind !== 'taken' && event.kind !== 'cancel') this.#note(event);
    if (this.#move !== undefined) return this.#stepMoving(this.#move, event);
    if (this.#ended !== undefined && 'request' in event && event.kind !== 'taken' && event.kind !== 'close') {
      return this.#passOn([{ kind: 'fail', request: event.request, error: this.#ended }]);
    }
    const inner = this.#toInner(event);
    const effects = inner === undefined ? [] : this.#inner.step(inner);
    if (this.#inner.hasMoved) return this.#begin(effects, event.now);
    return this.#passOn(effects);
  }

  #note(command: WorkerCommand): void {
    this.#open.set(command.request, command);
    if (command.kind === 'push') this.#pushes++;
  }

  /** `event` as the present core knows it; undefined: it concerns an earlier one. */
  #toInner(event: WorkerEvent): WorkerEvent | undefined {
    if (event.kind === 'streamEnded') {
      const name = nameOf(event.server, event.stream);
      this.#streams.delete(name);
      return this.#formerStreams.delete(name) ? undefined : event;
    }
    if (this.#before === 0 || !('connection' in event)) return event;
    const connection = event.connection - this.#before;
    return connection > 0 ? { ...event, connection } : undefined;
  }

  #passOn(effects: readonly WorkerEffect[]): readonly WorkerEffect[] {
    let isChanged = false;
    for (const effect of effects) {
      if (effect.kind === 'settle' || effect.kind === 'fail') this.#open.delete(effect.request);
      else if (effect.kind === 'stream') this.#streams.add(nameOf(effect.server, effect.stream.id));
      else if (effect.kind === 'connect') {
        this.#connections = Math.max(this.#connections, effect.connection + this.#before);
        this.#servers = Math.max(this.#servers, (effect.server ?? 0) + 1);
        isChanged ||= this.#before > 0;
      }
    }
    if (!isChanged) return effects;
    return effects.map((each) =>
      each.kind === 'connect' ? { ...each, connection: each.connection + this.#before } : each,
    );
  }

  /** The group is another one: what the old core said last, and what the new one does first. */
  #begin(last: readonly WorkerEffect[], now: number): readonly WorkerEffect[] {
    const effects: WorkerEffect[] = [];
    const kept = new Map<number, WorkerCommand>();
    for (const effect of last) {
      if (effect.kind === 'observe' && effect.observation.kind === 'closed') continue;
      const command = effect.kind === 'fail' ? this.#open.get(effect.request) : undefined;
      if (command === undefined) effects.push(effect);
      else kept.set(command.request, command);
    }
    const lost = new Set([...kept.values()].flatMap((each) => (each.kind === 'push' ? [each.request] : [])));
    this.#passOn(effects);
    for (let server = 0; server < this.#servers; server++) effects.push({ kind: 'terminate', server });
    for (const name of this.#streams) this.#formerStreams.add(name);
    this.#streams.clear();
    this.#known ??= this.#inner.catalogue;
    this.#before = this.#connections;
    this.#servers = 0;
    this.#inner = new GroupCore({ ...this.#options, seed: (this.#options.seed + this.#before) % 2 ** 32 });
    this.#move = { since: now, kept, lost, version: 0 };
    return [...effects, ...this.#passOn(this.#connect(now))];
  }

  #connect(now: number): readonly WorkerEffect[] {
    return this.#inner.step({ kind: 'connect', request: OWN_REQUEST, now });
  }

  #stepMoving(move: Move, event: WorkerEvent): readonly WorkerEffect[] {
    const { now } = event;
    if (event.kind === 'cancel') {
      if (!move.kept.delete(event.request)) return [];
      return this.#passOn([{ kind: 'fail', request: event.request, error: event.error }]);
    }
    if (event.kind === 'computing')
      return this.#passOn([{ kind: 'settle', request: event.request, value: undefined }]);
    if (event.kind === 'close') {
      const effects = this.#give(move, closedError(event.error));
      return [...effects, ...this.#passOn(this.#inner.step(event).filter(isForCallers))];
    }
    if ('request' in event && event.kind !== 'taken') {
      move.kept.set(event.request, event);
      return [];
    }
    const inner = this.#toInner(event);
    return inner === undefined ? [] : this.#handle(move, this.#inner.step(inner), now);
  }

  /** What the new core says while it is connected. */
  #handle(move: Move, effects: readonly WorkerEffect[], now: number): readonly WorkerEffect[] {
    const passed = [...this.#passOn(effects.filter(isForCallers))];
    for (const effect of effects) {
      if (effect.kind === 'observe' && effect.observation.kind === 'open')
        move.version = effect.observation.version;
      if (effect.kind === 'observe' && effect.observation.kind === 'closed') {
        passed.push(...this.#give(move, closedError(effect.observation.error)));
      } else if (effect.kind === 'fail' && effect.request === OWN_REQUEST && !this.#inner.hasEnded) {
        passed.push(...this.#again(move, effect.error, now));
      } else if (effect.kind === 'settle' && effect.request === OWN_REQUEST) {
        passed.push(...this.#arrive(move, now));
      }
    }
    return passed;
  }

  /** The new group could not be reached yet. */
  #again(move: Move, error: PsError, now: number): readonly WorkerEffect[] {
    const { maxOfflineMs } = this.#options.reconnect;
    if (now - move.since < maxOfflineMs && error.retryable)
      return this.#handle(move, this.#connect(now), now);
    const text = `the group was made anew and could not be reached within ${maxOfflineMs} ms: ${error.message}`;
    return this.#end(move, new PsError('PS_CONNECTION_LOST', text, { cause: error }), now);
  }

  #arrive(move: Move, now: number): readonly WorkerEffect[] {
    const { catalogue, clock } = this.#inner;
    const known = this.#known as Catalogue;
    const difference = catalogue === undefined ? undefined : differenceOf(known, catalogue);
    if (difference !== undefined) {
      const text = `the group came back with another model: ${difference}`;
      return this.#end(move, new PsError('PS_MODEL_MISMATCH', text), now);
    }
    this.#move = undefined;
    const { kept, lost, version } = move;
    const observation: WorkerObservation = {
      kind: 'rollback',
      rollback: {
        ...{ lostPushes: this.#pushes, unansweredPushes: lost.size, fromSeq: 1, toSeq: this.#pushes },
        ...{ startedAfresh: true, clock, version },
      },
    };
    this.#pushes = 0;
    const failed = [...lost].filter((request) => kept.has(request)).map((request) => pushLost(request));
    const asked = [...kept.values()].filter(({ request }) => !lost.has(request));
    const again = asked.flatMap((each) => this.#inner.step({ ...each, now } as WorkerEvent));
    return [{ kind: 'observe', observation }, ...this.#passOn([...failed, ...again])];
  }

  #end(move: Move, error: PsError, now: number): readonly WorkerEffect[] {
    const closing = this.#inner.step({ kind: 'close', request: OWN_REQUEST, reason: error.code, error, now });
    const network = closing.filter((each) => each.kind === 'close' || each.kind === 'terminate');
    return [
      ...this.#passOn(network),
      ...this.#give(move, error),
      { kind: 'observe', observation: { kind: 'closed', error } },
    ];
  }

  /** Nothing comes of what was kept. */
  #give(move: Move, error: PsError): readonly WorkerEffect[] {
    this.#move = undefined;
    this.#ended = error;
    const failed = [...move.kept.keys()].map((request): WorkerEffect => {
      return move.lost.has(request) ? pushLost(request, error) : { kind: 'fail', request, error };
    });
    return this.#passOn(failed);
  }
}

/** All but what became of this core's own request. */
function isForCallers(effect: WorkerEffect): boolean {
  return !((effect.kind === 'settle' || effect.kind === 'fail') && effect.request === OWN_REQUEST);
}

function pushLost(request: number, cause?: PsError): WorkerEffect {
  const error = outcomeUnknown('this push was applied', 'the group was made anew', cause);
  return { kind: 'fail', request, error };
}

function nameOf(server = 0, stream: number): string {
  return `${server}/${stream}`;
}
