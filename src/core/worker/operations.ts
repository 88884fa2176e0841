/** The requests in flight, in the order in which they were made. Only a list: it sends nothing. */
import type { AskOperation } from './askOperation.js';
import type { ClockOperation } from './clockOperation.js';
import type { LeaseOperation } from './leaseOperation.js';
import type { PullOperation } from './pullOperation.js';
import type { PushOperation } from './pushOperation.js';
import type { ResultsOperation } from './resultsOperation.js';

/** A request that is not answered yet. */
export type Operation =
  | PullOperation
  | PushOperation
  | ClockOperation
  | AskOperation
  | LeaseOperation
  | ResultsOperation;

/** What is not answered yet, oldest first. */
export class Operations {
  #list: Operation[] = [];

  [Symbol.iterator](): Iterator<Operation> {
    return this.#list[Symbol.iterator]();
  }

  add(operation: Operation): void {
    this.#list.push(operation);
  }

  has(operation: Operation): boolean {
    return this.#list.includes(operation);
  }

  /** Puts `operation` before all others. */
  addFirst(operation: Operation): void {
    this.#list.unshift(operation);
  }

  remove(operation: Operation): void {
    const at = this.#list.indexOf(operation);
    if (at >= 0) this.#list.splice(at, 1);
  }

  /** Removes those that `isWanted` holds for, and returns them in order. */
  removeAll(isWanted: (operation: Operation) => boolean = () => true): Operation[] {
    const removed = this.#list.filter(isWanted);
    this.#list = this.#list.filter((each) => !isWanted(each));
    return removed;
  }

  /** What the caller knows as `request`. */
  withRequest(request: number): Operation | undefined {
    return this.#list.find((each) => each.request === request);
  }

  /** What the present connection knows as request `wire`. */
  withWire(wire: number): Exclude<Operation, PushOperation> | undefined {
    for (const each of this.#list) if (each.kind !== 'push' && each.isSent && each.wire === wire) return each;
    return undefined;
  }

  /** The push numbered `seq`. */
  withSeq(seq: number): PushOperation | undefined {
    for (const each of this.#list) if (each.kind === 'push' && each.assignment?.seq === seq) return each;
    return undefined;
  }
}
