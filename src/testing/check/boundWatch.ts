/**
 * Which consistency models a worker may go by: those that have been in force since the server sent the last answer that
 * it has. What it uses without asking need not obey a change that it can't know of, and must obey every other. Whether
 * it was told of the change is not looked at: answers to pushes and ticks alone say how much it must know.
 */
import type { Consistency } from '../../core/consistency/consistency.js';
import { type Message, MessageType } from '../../core/protocol/messages.js';
import type { ServerEffect } from '../../core/server/events.js';
import type { ServerCore } from '../../core/server/serverCore.js';

/** Watches changes of the model, and who must know of them. */
export class BoundWatch {
  /** All models, in the order in which they came into force; a life of the server begins with one. */
  readonly #models: Consistency[] = [];
  /** By answer: how many models there had been when its turn began. */
  readonly #sent = new Map<string, number>();
  /** By process: the last model that it must know of. */
  readonly #known = new Map<string, number>();

  started({ state }: ServerCore): void {
    this.#models.push(state.model);
  }

  /** The server has taken a turn; `processOf`: who is at the other end of a connection. */
  stepped(
    { state }: ServerCore,
    effects: readonly ServerEffect[],
    processOf: (connection: number) => string | undefined,
  ): void {
    for (const effect of effects) {
      if (effect.kind !== 'send') continue;
      const key = keyOf(processOf(effect.connection), effect.message);
      if (key !== undefined) this.#sent.set(key, this.#models.length - 1);
    }
    if (state.model !== this.#models.at(-1)) this.#models.push(state.model);
  }

  /** `process` takes a message. */
  receives(process: string, message: Message): void {
    const key = keyOf(process, message);
    const sent = key === undefined ? undefined : this.#sent.get(key);
    if (sent !== undefined) this.#known.set(process, Math.max(sent, this.lastKnown(process)));
  }

  /** The number of the last model that `process` must know of. */
  lastKnown(process: string): number {
    return this.#known.get(process) ?? 0;
  }

  /** The models from number `first` on. */
  since(first: number): readonly Consistency[] {
    return this.#models.slice(first);
  }
}

/** Answers to pushes and ticks: they are sent once to a process, or again when it asks again. */
function keyOf(process: string | undefined, message: Message): string | undefined {
  if (process === undefined) return undefined;
  if (message.t === MessageType.pushResult) return `${process} push ${message.seq}`;
  if (message.t === MessageType.clockResult) return `${process} request ${message.request}`;
  return undefined;
}
