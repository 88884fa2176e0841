/** The production core of a simulated server, before it has a state. Its kernels are the plain ones: no memory is shared. */
import type { Consistency } from '../../core/consistency/consistency.js';
import { referenceKernels } from '../../core/kernels/reference.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import type { ServerCoreOptions } from '../../core/server/context.js';
import { ServerCore } from '../../core/server/serverCore.js';
import { DenseTable } from '../../core/table/denseTable.js';
import { modelOf, type ParameterSpecs } from '../../core/table/model.js';
import { checkTables, makeTables, type SparseTableSpecs } from '../../core/table/tableSpecs.js';

/** What belongs to one life of a server. */
type Life = Pick<ServerCoreOptions, 'incarnation' | 'lineage' | 'isDurable'>;

/** What all lives of a server have in common. */
export interface SimCoreOptions {
  readonly parameters: ParameterSpecs;
  readonly tables?: SparseTableSpecs;
  readonly optimizer: Optimizer;
  readonly consistency: Consistency;
  readonly core: Omit<ServerCoreOptions, keyof Life>;
  readonly seed: number;
}

/** A core that has handled no event. */
export function newSimCore(
  { parameters, tables, optimizer, consistency, core, seed }: SimCoreOptions,
  life: Life,
): ServerCore {
  const model = modelOf(parameters, seed, core.shard);
  const values = allocate(model.catalogue.length);
  model.initialise(values);
  const table = new DenseTable({
    catalogue: model.catalogue,
    values,
    optimizer,
    ownOptimizers: model.ownOptimizers,
    pinnedVersions: core.limits.pinnedVersions,
    kernels: referenceKernels,
    allocate,
  });
  const parts = { kernels: referenceKernels, seed, allocate };
  return new ServerCore({
    ...{ options: { ...core, ...life }, table, consistency, allocate },
    tables: makeTables(table, checkTables(tables, new Set(), optimizer), parts),
  });
}

function allocate(length: number): Float32Array {
  return new Float32Array(length);
}
