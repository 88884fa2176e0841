/** What the copies of a cache are called, and which of them a push changes. */
import type { Catalogue, TableShape } from '../../tensor/catalogue.js';
import { idAt } from '../../tensor/rowIds.js';
import type { PushCommand } from '../events.js';

/** The key of a tensor. */
export function tensorKey(index: number): string {
  return `t${index}`;
}

/** The key of a row. */
export function rowKey(table: number, id: number): string {
  return `${table}:${id}`;
}

/** Each tensor and row that a push has a gradient for. */
export function* keysOfPush(
  { tensors, values, rows = [] }: Pick<PushCommand, 'tensors' | 'values' | 'rows'>,
  catalogue: Catalogue,
): Generator<{ readonly key: string; readonly gradient: Float32Array; readonly name: string }> {
  const { entries } = catalogue.select(tensors);
  for (const [i, { index, name }] of entries.entries()) {
    yield { key: tensorKey(index), gradient: values[i] as Float32Array, name };
  }
  for (const [part, { table, count }] of rows.entries()) {
    const { name, dim } = catalogue.tables[table] as TableShape;
    const ids = values[entries.length + 2 * part] as Float32Array;
    const gradients = values[entries.length + 2 * part + 1] as Float32Array;
    const words = new Uint32Array(ids.buffer, ids.byteOffset, 2 * count);
    for (let i = 0; i < count; i++) {
      yield {
        key: rowKey(table, idAt(words, i)),
        gradient: gradients.subarray(i * dim, (i + 1) * dim),
        name,
      };
    }
  }
}
