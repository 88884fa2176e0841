/**
 * What the file for pages has in place of eventemitter3: the same methods with the same behaviour, without what makes
 * it quick in old engines, which is most of it. Tested against it with random calls. The types are eventemitter3's own.
 */

type Event = string | symbol;
type Fn = (...args: unknown[]) => unknown;

interface Listener {
  readonly fn: Fn;
  readonly context: unknown;
  readonly once: boolean;
}

/** An emitter with the methods of eventemitter3. */
export class EventEmitter {
  readonly #listeners = new Map<Event, readonly Listener[]>();

  on(event: Event, fn: Fn, context: unknown = this, once = false): this {
    if (typeof fn !== 'function') throw new TypeError('The listener must be a function');
    this.#listeners.set(event, [...this.#of(event), { fn, context, once }]);
    return this;
  }

  once(event: Event, fn: Fn, context?: unknown): this {
    return this.on(event, fn, context, true);
  }

  off(event: Event, fn?: Fn, context?: unknown, once = false): this {
    const stays = (each: Listener): boolean =>
      fn !== undefined &&
      (each.fn !== fn || (once && !each.once) || (context !== undefined && each.context !== context));
    const left = this.#of(event).filter(stays);
    if (left.length > 0) this.#listeners.set(event, left);
    else this.#listeners.delete(event);
    return this;
  }

  emit(event: Event, ...args: unknown[]): boolean {
    const listeners = this.#of(event);
    for (const { fn, context, once } of listeners) {
      if (once) this.off(event, fn, undefined, true);
      fn.apply(context, args);
    }
    return listeners.length > 0;
  }

  eventNames(): Event[] {
    return [...this.#listeners.keys()];
  }

  listeners(event: Event): Fn[] {
    return this.#of(event).map(({ fn }) => fn);
  }

  listenerCount(event: Event): number {
    return this.#of(event).length;
  }

  removeAllListeners(event?: Event): this {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.delete(event);
    return this;
  }

  addListener(event: Event, fn: Fn, context?: unknown): this {
    return this.on(event, fn, context);
  }

  removeListener(event: Event, fn?: Fn, context?: unknown, once?: boolean): this {
    return this.off(event, fn, context, once);
  }

  #of(event: Event): readonly Listener[] {
    return this.#listeners.get(event) ?? [];
  }
}
