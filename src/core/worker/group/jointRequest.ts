/**
 * One request of a caller as one request to each of some members. It ends once: with an error, or with all their
 * answers. Where a part that was sent may take effect all the same, it waits for all before it says so.
 */
import { PsError } from '../../base/errors.js';
import type { RequestValue } from '../events.js';
import type { Member, MemberCommand, MemberListener, Members } from './members.js';

/** How it ended. */
export interface JointHandlers<T> {
  /** Every member has answered; the answers stand in the order of the members. */
  done(answers: readonly { readonly member: Member; readonly value: T }[]): void;
  failed(error: PsError): void;
}

/** A request to several members. */
export class JointRequest<T extends RequestValue> implements MemberListener {
  readonly #members: Members;
  readonly #handlers: JointHandlers<T>;
  readonly #failsAtOnce: boolean;
  /** Numbers of what is not answered. */
  readonly #open = new Map<Member, number>();
  readonly #answers = new Map<Member, T>();
  readonly #order: Member[] = [];
  #error: PsError | undefined;
  #isAsking = false;
  #hasEnded = false;

  /** `failsAtOnce`: the first error ends it, and what is under way is given up. */
  constructor(members: Members, failsAtOnce: boolean, handlers: JointHandlers<T>) {
    this.#members = members;
    this.#failsAtOnce = failsAtOnce;
    this.#handlers = handlers;
  }

  /** Asks each of `to`. */
  ask(to: Iterable<Member>, command: (member: Member) => MemberCommand): void {
    if (this.#hasEnded) return;
    this.#isAsking = true;
    for (const member of to) {
      if (this.#error !== undefined && this.#failsAtOnce) break;
      this.#order.push(member);
      // It may be answered within the call.
      this.#open.set(member, 0);
      const request = this.#members.ask(member, command(member), this);
      if (this.#open.has(member)) this.#open.set(member, request);
    }
    this.#isAsking = false;
    this.#endIfDone();
  }

  /** The caller gives it up. */
  cancel(error: PsError): void {
    this.#error = error;
    for (const request of [...this.#open.values()]) this.#members.cancel(request, error);
    this.#endIfDone();
  }

  settled(member: Member, value: RequestValue): void {
    this.#open.delete(member);
    this.#answers.set(member, value as T);
    this.#endIfDone();
  }

  failed(member: Member, error: PsError): void {
    this.#open.delete(member);
    this.#error ??= errorAt(member, error, this.#members.all.length);
    if (this.#failsAtOnce) {
      for (const request of [...this.#open.values()]) this.#members.forget(request, error);
      this.#open.clear();
    }
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#hasEnded || this.#isAsking || this.#open.size > 0) return;
    this.#hasEnded = true;
    if (this.#error !== undefined) {
      this.#handlers.failed(this.#error);
      return;
    }
    this.#handlers.done(this.#order.map((member) => ({ member, value: this.#answers.get(member) as T })));
  }
}

/** What a member failed with, as callers see it: with its place, unless the whole worker has ended. */
export function errorAt({ server, core }: Member, error: PsError, count: number): PsError {
  if (count === 1 || error.code === 'PS_ABORTED' || core.hasEnded) return error;
  const { shard } = core.server;
  const place =
    shard === undefined ? `url ${server + 1} of ${count}` : `shard ${shard.index} of ${shard.count}`;
  return new PsError(error.code, `${place}: ${error.message}`, { cause: error, details: error.details });
}
