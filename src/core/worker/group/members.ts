/**
 * The cores of one worker, one for each server of a group, and what is asked of them. Effects on connections are
 * passed on with the server's number; how a request of a member ends is told to whoever asked. It knows no
 * requests of callers.
 */
import type { PsError } from '../../base/errors.js';
import type { RequestValue, WorkerCommand, WorkerEffect, WorkerEvent, WorkerObservation } from '../events.js';
import type { WorkerCore } from '../workerCore.js';

/** The core for one server. */
export interface Member {
  /** Position of the server's url. */
  readonly server: number;
  readonly core: WorkerCore;
}

/** Which shard it is. */
export function shardIndexOf({ core }: Member): number {
  return core.server.shard?.index ?? 0;
}

/** Is told how a request of a member ended. */
export interface MemberListener {
  settled(member: Member, value: RequestValue): void;
  failed(member: Member, error: PsError): void;
}

/** For what nobody waits for. */
export const unheard: MemberListener = { settled: () => {}, failed: () => {} };

/** Distributes over the union, unlike Omit. */
type Without<E, K extends string> = E extends unknown ? Omit<E, K> : never;
/** A command without its number. */
export type MemberCommand = Without<WorkerCommand, 'request'>;
/** An event without its time. */
export type MemberEvent = Without<WorkerEvent, 'now'>;

/** All members, in the order of the urls. */
export class Members {
  readonly all: Member[] = [];
  readonly #observed: (member: Member, observation: WorkerObservation) => void;
  readonly #asked = new Map<number, { readonly member: Member; readonly listener: MemberListener }>();
  #effects: WorkerEffect[] = [];
  #lastRequest = 0;
  #now = 0;

  constructor(observed: (member: Member, observation: WorkerObservation) => void) {
    this.#observed = observed;
  }

  /** The time of the event that is handled. */
  get now(): number {
    return this.#now;
  }

  /** An event of this time is handled. */
  begin(now: number): void {
    this.#now = now;
  }

  /** What the shell has to do; the next event begins with nothing. */
  take(): readonly WorkerEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  add(effect: WorkerEffect): void {
    this.#effects.push(effect);
  }

  /** Gives `command` to `member`. Returns its number. */
  ask(member: Member, command: MemberCommand, listener: MemberListener): number {
    const request = ++this.#lastRequest;
    this.#asked.set(request, { member, listener });
    this.feed(member, { ...command, request } as MemberEvent);
    return request;
  }

  /** Gives up what was asked as `request`; its listener hears of it. */
  cancel(request: number, error: PsError): void {
    const asked = this.#asked.get(request);
    if (asked !== undefined) this.feed(asked.member, { kind: 'cancel', request, error });
  }

  /** Gives it up, and nobody hears. */
  forget(request: number, error: PsError): void {
    const asked = this.#asked.get(request);
    this.#asked.delete(request);
    if (asked !== undefined) this.feed(asked.member, { kind: 'cancel', request, error });
  }

  /** The system has taken the message of `request`. */
  taken(request: number): void {
    const asked = this.#end(request);
    asked?.listener.settled(asked.member, undefined);
  }

  /** Gives an event to the core of `member`. */
  feed(member: Member, event: MemberEvent): void {
    const effects = member.core.step({ ...event, now: this.#now } as WorkerEvent);
    // First what goes to the network: a listener may ask for more, which has to come behind it.
    for (const effect of effects) this.#passOn(member, effect);
    for (const effect of effects) this.#tell(member, effect);
  }

  #passOn(member: Member, effect: WorkerEffect): void {
    const { server } = member;
    if (effect.kind === 'send') {
      const { whenTaken, ...rest } = effect;
      this.#effects.push(
        whenTaken === undefined ? { ...rest, server } : { ...rest, server, tellTaken: whenTaken },
      );
    } else if (effect.kind !== 'settle' && effect.kind !== 'fail' && effect.kind !== 'observe') {
      this.#effects.push({ ...effect, server });
    }
  }

  #tell(member: Member, effect: WorkerEffect): void {
    if (effect.kind === 'settle') this.#end(effect.request)?.listener.settled(member, effect.value);
    else if (effect.kind === 'fail') this.#end(effect.request)?.listener.failed(member, effect.error);
    else if (effect.kind === 'observe') this.#observed(member, effect.observation);
  }

  #end(request: number): { readonly member: Member; readonly listener: MemberListener } | undefined {
    const asked = this.#asked.get(request);
    this.#asked.delete(request);
    return asked;
  }
}
