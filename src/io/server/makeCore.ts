/** The core of a server, from its options: memory, first values, table. */
import { randomUUID } from 'node:crypto';
import { PsError } from '../../core/base/errors.js';
import { loadKernels } from '../../core/kernels/loadKernels.js';
import { ServerCore } from '../../core/server/serverCore.js';
import { DenseTable } from '../../core/table/denseTable.js';
import { makeTables } from '../../core/table/tableSpecs.js';
import { monotonicNow } from '../time.js';
import type { CheckedServerOptions } from './serverOptions.js';

/**
 * Memory is reserved for so many arrays of the model's size: versions, slots, staging areas, sums of workers; or, where
 * there are sparse tables, which grow, as much as there can be. What is not used costs nothing; what goes beyond works
 * too, a little slower.
 */
const RESERVED_MODELS = 32;

/** A core that has handled no event. */
export function makeCore(options: CheckedServerOptions): ServerCore {
  const { model, tables, seed, optimizer, consistency, core } = options;
  const modelBytes = model.catalogue.length * Float32Array.BYTES_PER_ELEMENT;
  const reservedBytes = tables.length > 0 ? undefined : RESERVED_MODELS * modelBytes;
  const { kernels, allocate, release } = loadKernels(reservedBytes);
  let values: Float32Array;
  try {
    values = allocate(model.catalogue.length);
  } catch (cause) {
    const message = `parameters must fit into memory, these have ${modelBytes} bytes: ${String(cause)}`;
    throw new PsError('PS_LIMIT', message, { cause, details: { option: 'parameters' } });
  }
  model.initialise(values);
  const table = new DenseTable({
    catalogue: model.catalogue,
    values,
    optimizer,
    ownOptimizers: model.ownOptimizers,
    pinnedVersions: core.limits.pinnedVersions,
    kernels,
    allocate,
  });
  const coreOptions = { ...core, incarnation: randomUUID(), lineage: randomUUID() };
  return new ServerCore({
    options: coreOptions,
    table,
    tables: makeTables(table, tables, { kernels, seed, allocate }),
    consistency,
    allocate,
    release,
    stopwatch: monotonicNow,
  });
}
