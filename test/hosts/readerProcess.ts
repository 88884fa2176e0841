/** A reader on a host: `readerProcess.ts URLS`. Tells the cells of the whole model, once. */
import { Worker } from '../../src/index.js';
import type { PARAMETERS } from '../fault/processes/cells.js';

const [, , urls = ''] = process.argv;
const reader = new Worker<typeof PARAMETERS>(urls.split(','), {
  readOnly: true,
  token: 'shared-by-the-hosts',
});
const { own, shared, padding } = (await reader.pull()).tensors;
process.send?.({ kind: 'cells', own: [...own.data], shared: shared.data[0], padding: [...padding.data] });
await reader.close();
process.disconnect();
