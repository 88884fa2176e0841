/** Pushes of rows as a fake worker sends them. */
import { MessageType } from '../../../src/core/protocol/messages.js';
import type { FakeWorker } from './fakeWorker.js';

/** Ids as they travel. */
export function bytesOfIds(ids: readonly number[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(ids, BigInt).buffer);
}

/** Ids and values of rows of `table`, as they stand in a push. */
export interface PushedRows {
  readonly table: number;
  readonly ids: readonly number[];
  readonly values: readonly number[];
}

/** Pushes rows, behind a gradient of the tensors if there is one. */
export function pushRows(
  worker: FakeWorker,
  rows: readonly PushedRows[],
  dense?: readonly number[],
  fields: object = {},
): void {
  const parts = rows.flatMap(({ ids, values }) => [
    bytesOfIds(ids),
    new Uint8Array(Float32Array.from(values).buffer),
  ]);
  const payload = Buffer.concat([new Uint8Array(Float32Array.from(dense ?? []).buffer), ...parts]);
  worker.seq++;
  worker.send(
    {
      t: MessageType.push,
      ...{ seq: worker.seq, clock: worker.clock, bytes: payload.length },
      ...(dense === undefined ? { tensors: [] } : {}),
      rows: rows.map(({ table, ids }) => ({ table, count: ids.length })),
      ...fields,
    },
    payload,
  );
}
