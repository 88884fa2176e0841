/** A state as text: everything durable in it, floats by their bits. Equal texts, equal states. */
import { createHash } from 'node:crypto';
import type { ServerState } from '../../../src/core/server/state.js';
import { arraysOf, metaOf } from '../../../src/core/server/stateImage.js';

/** The text of `state`. Sessions and buffers stand in an order of their own. */
export function textOf(state: ServerState): string {
  const meta = metaOf(state);
  const { values, slots, scalars, sums } = arraysOf(state);
  const hash = createHash('sha256');
  for (const array of [values, ...slots, ...sums]) {
    hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  hash.update(new Uint8Array(Float64Array.from(scalars.flat()).buffer));
  const sessions = [...meta.sessions].sort((a, b) => (a.id < b.id ? -1 : 1));
  return `${JSON.stringify({ ...meta, sessions }, null, 1)}\n${hash.digest('hex')}`;
}
