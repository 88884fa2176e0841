/** Compares the durable parts of two server states, bit for bit. */
import type { ServerState } from '../../core/server/state.js';
import type { EmbeddingTable } from '../../core/table/embeddingTable.js';
import { arraysOfTable } from '../../core/table/tableImage.js';
import { idAt } from '../../core/tensor/rowIds.js';

/** What first differs between `a` and `b`, or undefined if nothing does. */
export function differenceOf(a: ServerState, b: ServerState): string | undefined {
  const [one, other] = [partsOf(a), partsOf(b)];
  for (const [name, value] of Object.entries(one)) {
    const [mine, theirs] = [JSON.stringify(value), JSON.stringify(other[name])];
    if (mine !== theirs) return `${name}: ${shortened(mine)} and ${shortened(theirs)}`;
  }
  return undefined;
}

function partsOf(state: ServerState): Record<string, unknown> {
  const { table, tables, clocks, sessions, policy, model, buffers, data } = state;
  const byId = (x: readonly [string, unknown], y: readonly [string, unknown]): number =>
    x[0] < y[0] ? -1 : 1;
  return {
    version: state.version,
    parameters: bitsOf(table.versions.current),
    slots: table.slots.map(bitsOf),
    tables: tables.tables.map(contentOf),
    scalars: table.scalars,
    model,
    policy: policy.save(),
    minClock: clocks.minClock,
    clocks: [...clocks.entries()].sort(byId),
    sessions: [...sessions.values()]
      .map(
        ({ id, key, epoch, clock, decidedSeq, hasEntered, answers }) =>
          [id, { key, epoch, clock, decidedSeq, hasEntered, answers }] as const,
      )
      .sort(byId),
    data: data.save(),
    buffers: [...buffers].map(([clock, buffer]) => [
      clock,
      buffer.contributions.map(({ worker, parts, rows }) => [
        worker,
        [...parts].sort(([x], [y]) => x - y).map(([at, values]) => [at, bitsOf(values)]),
        [...rows]
          .sort(([x], [y]) => x - y)
          .map(([at, { words, values }]) => [at, [...words], bitsOf(values)]),
      ]),
    ]),
  };
}

/** Everything of a table that can be seen, whatever the numbers of its rows. */
function contentOf(table: EmbeddingTable): unknown {
  const { ids, values, slots, uses, counters } = arraysOfTable(table);
  const { dim } = table.spec;
  const rowOf = (array: Float32Array, i: number): number[] => bitsOf(array.subarray(i * dim, (i + 1) * dim));
  const rows = Array.from({ length: table.rows }, (_, i) => {
    return [idAt(ids, i), rowOf(values, i), slots.map((slot) => rowOf(slot, i)), uses[i]] as const;
  });
  // Of a bounded table the order is part of it: that in which rows would be evicted.
  if (table.order === undefined) rows.sort(([a], [b]) => a - b);
  return { rows, scalars: table.scalars, counts: table.counts, counters: countsIn(counters) };
}

/** The counters that are not 0, by position: there are very many, and few are. */
function countsIn(counters: Uint8Array): string {
  let text = '';
  counters.forEach((count, i) => {
    if (count > 0) text += `${i}:${count} `;
  });
  return text;
}

function bitsOf(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
}

function shortened(text: string | undefined): string {
  return text === undefined || text.length < 400 ? String(text) : `${text.slice(0, 400)}…`;
}
