/**
 * A state as text: everything durable in it, floats by their bits. Equal texts, equal states. What slots
 * hold where no optimizer uses them does not count.
 */
import { createHash } from 'node:crypto';
import type { ServerState } from '../../../src/core/server/state.js';
import { arraysOf, metaOf } from '../../../src/core/server/stateImage.js';
import { flattenScalars, tensorsOfState } from '../../../src/io/storage/checkpointFormat.js';

/** The text of `state`. Sessions stand in the order of their ids. */
export function textOf(state: ServerState): string {
  const meta = metaOf(state);
  const arrays = arraysOf(state);
  const hash = createHash('sha256');
  const scalars = flattenScalars(arrays.scalars);
  for (const { name, bytes } of tensorsOfState(state.table.catalogue, meta, arrays, scalars)) {
    hash.update(`${name} ${bytes.length} `);
    hash.update(bytes);
  }
  const sessions = [...meta.sessions].sort((a, b) => (a.id < b.id ? -1 : 1));
  return `${JSON.stringify({ ...meta, sessions }, null, 1)}\n${hash.digest('hex')}`;
}
