/** The emitter of the file for pages against eventemitter3: the same calls, the same answers. */
import { EventEmitter } from 'eventemitter3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventEmitter as SmallEmitter } from '../../scripts/smallEmitter.js';

const event = fc.constantFrom('a', 'b', 'c');
const listener = fc.nat(2);
const context = fc.constantFrom(undefined, { name: 'x' }, { name: 'y' });
const call = fc.oneof(
  fc.tuple(fc.constantFrom('on', 'once', 'addListener'), event, listener, context),
  fc.tuple(fc.constantFrom('off', 'removeListener'), event, fc.option(listener, { nil: undefined }), context),
  fc.tuple(fc.constant('emit'), event, fc.nat(9), fc.boolean()),
  fc.tuple(fc.constantFrom('listeners', 'listenerCount'), event),
  fc.tuple(fc.constant('removeAllListeners'), fc.option(event, { nil: undefined })),
);

/** What the calls answer, and what listeners are told, in order. The third listener takes itself off. */
function played(Emitter: typeof EventEmitter, calls: readonly (readonly unknown[])[]): unknown[] {
  const emitter = new Emitter();
  const told: unknown[] = [];
  const listeners = [0, 1, 2].map(
    (i) =>
      function (this: unknown, ...args: unknown[]): void {
        told.push([i, this === emitter ? 'itself' : this, args]);
        if (i === 2) emitter.off(args[0] as string, listeners[2]);
      },
  );
  for (const [method, name, ...rest] of calls) {
    const isAdding = ['on', 'once', 'addListener'].includes(method as string);
    const isTaking = ['off', 'removeListener'].includes(method as string);
    const args = isAdding || isTaking ? [listeners[rest[0] as number], rest[1]] : rest;
    const given = method === 'emit' ? [name, name, ...args] : [name, ...args];
    const answer = (emitter[method as 'on'] as (...all: unknown[]) => unknown)(...given);
    const isList = Array.isArray(answer);
    told.push(answer === emitter ? 'itself' : isList ? answer.map((fn) => listeners.indexOf(fn)) : answer);
    told.push(emitter.eventNames().length);
  }
  return told;
}

describe('the emitter of the file for pages', () => {
  it('answers and tells as eventemitter3 does', () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
        expect(played(SmallEmitter as unknown as typeof EventEmitter, calls)).toEqual(
          played(EventEmitter, calls),
        );
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  it('takes no listener that is no function', () => {
    const emitter = new SmallEmitter();
    expect(() => emitter.on('a', 1 as never)).toThrow('The listener must be a function');
  });
});
