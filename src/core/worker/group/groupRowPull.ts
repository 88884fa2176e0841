/**
 * One pull of rows from the shards that hold them, put together again in the order of their ids. Every shard answers
 * with one version of its own.
 */
import type { PsError } from '../../base/errors.js';
import { type RowSlice, slicesOfRows } from '../../partition/rowShards.js';
import type { Catalogue, TableShape } from '../../tensor/catalogue.js';
import type { PullAnswer, PullCommand } from '../events.js';
import { JointRequest } from './jointRequest.js';
import { type Member, type Members, shardIndexOf } from './members.js';

/** A pull of rows, as callers ask for it. */
export type RowPullCommand = PullCommand & { readonly rows: NonNullable<PullCommand['rows']> };

/** How it ended. */
export interface RowPullHandlers {
  readonly done: (answer: PullAnswer) => void;
  readonly failed: (error: PsError) => void;
}

/** Asks every shard for its rows. Returns what gives it up. O(rows · dim). */
export function pullRowsOfGroup(
  command: RowPullCommand,
  members: Members,
  catalogue: Catalogue,
  { done, failed }: RowPullHandlers,
): { cancel(error: PsError): void } {
  const { words, table } = command.rows;
  const { dim } = catalogue.tables[table] as TableShape;
  const { all } = members;
  const slices = slicesOfRows(words, all.length);
  const sliceOf = (member: Member): RowSlice => slices[shardIndexOf(member)] as RowSlice;
  const concerned = all.filter((member) => sliceOf(member).positions.length > 0);
  const joint = new JointRequest<PullAnswer>(members, true, {
    failed,
    done(answers) {
      const data = command.into?.[0] ?? new Float32Array((words.length / 2) * dim);
      for (const { member, value } of answers) {
        spread(sliceOf(member), value.arrays?.[0] as Float32Array, dim, data);
      }
      const byMember = new Map(answers.map(({ member, value }) => [member, value]));
      const values = answers.map(({ value }) => value);
      done({
        arrays: [data],
        version: Math.min(...values.map(({ version }) => version)),
        pulled: all.map((member) => byMember.get(member)?.pulled[0]),
        clock: Math.min(...values.map(({ clock }) => clock)),
        minClock: Math.min(...values.map(({ minClock }) => minClock)),
        bytes: values.reduce((sum, { bytes }) => sum + bytes, 0),
      });
    },
  });
  // No ids at all: any shard can answer.
  joint.ask(concerned.length === 0 ? all.slice(0, 1) : concerned, (member) => {
    return { ...command, into: undefined, rows: { table, words: sliceOf(member).words } };
  });
  return joint;
}

function spread({ positions }: RowSlice, rows: Float32Array, dim: number, out: Float32Array): void {
  for (let i = 0; i < positions.length; i++) {
    const to = (positions[i] as number) * dim;
    for (let k = 0; k < dim; k++) out[to + k] = rows[i * dim + k] as number;
  }
}
