/**
 * One hash over everything durable in a server's state: values, slots, scalars, learning rates, sessions,
 * clocks, buffered updates and the consistency policy. Equal hashes, equal states.
 */
import { createHash } from 'node:crypto';
import type { ServerState } from '../../../src/core/server/state.js';
import { arraysOfTable } from '../../../src/core/table/tableImage.js';

/**
 * The hash of `state`. `hasSequences` false: but for what was decided about pushes, which a refused one adds to.
 */
export function hashOf(state: ServerState, hasSequences: boolean = true): string {
  const hash = createHash('sha256');
  const { table, tables, clocks, sessions, buffers, policy, model } = state;
  const addFloats = (floats: Float32Array): void => {
    hash.update(new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength));
  };
  addFloats(table.versions.current);
  for (const slot of table.slots) addFloats(slot);
  for (const [clock, buffer] of [...buffers].sort(([a], [b]) => a - b)) {
    hash.update(`clock ${clock}`);
    for (const { worker, parts, rows } of buffer.contributions) {
      hash.update(worker);
      for (const [index, values] of [...parts].sort(([a], [b]) => a - b)) {
        hash.update(`tensor ${index}`);
        addFloats(values);
      }
      for (const [position, { words, values }] of [...rows].sort(([a], [b]) => a - b)) {
        hash.update(`table ${position} ${words.join()}`);
        addFloats(values);
      }
    }
  }
  for (const each of tables.tables) {
    const { ids, values, slots, uses, counters } = arraysOfTable(each);
    hash.update(JSON.stringify([[...ids], [...uses], each.scalars, each.counts]));
    hash.update(counters);
    for (const array of [values, ...slots]) addFloats(array);
  }
  const known = [...sessions.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const plain = {
    version: state.version,
    scalars: table.scalars,
    rates: table.groups.map((group) => String(group.learningRate)),
    model,
    policy: policy.save(),
    minClock: clocks.minClock,
    clocks: [...clocks.entries()].sort(([a], [b]) => (a < b ? -1 : 1)),
    sessions: known.map(({ id, key, epoch, clock, decidedSeq, committedSeq, hasEntered, answers }) => [
      ...[id, key, epoch, clock, hasEntered],
      ...(hasSequences ? [decidedSeq, committedSeq, answers] : []),
    ]),
  };
  hash.update(JSON.stringify(plain));
  return hash.digest('hex');
}
