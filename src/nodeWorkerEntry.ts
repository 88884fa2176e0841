/**
 * `pslib/worker` in Node: the names of `workerEntry.ts`, with the `Worker` that connects by pslib's own
 * transports, since Node 20 has no WebSocket of its own.
 */

export { PsError } from './core/base/errors.js';
export { Worker } from './io/worker/node/worker.js';
export type * from './workerEntry.js';
