/** Planted bugs that only rows of sparse tables have: looked for where rows are in every push. */
import { bsp } from '../../../src/core/consistency/consistency.js';
import { FAULT_GROUPS } from '../../../src/testing/faults/faults.js';
import type { ScheduleOptions } from '../../../src/testing/search/schedule.js';
import type { Mutant } from './mutant.js';

const ROWS: ScheduleOptions = { hasRows: true };
const pushes = 'core/server/pushes.ts';
const rowUpdate = 'core/table/rowUpdate.ts';

/** Of rows. */
export const ROW_MUTANTS: readonly Mutant[] = [
  {
    name: 'rows applied twice on resend',
    bug: 'the rows of a push that is sent again are applied again, its tensors are not',
    patches: [
      {
        file: 'core/server/reception.ts',
        find: 'const isDecided = message.seq <= session.decidedSeq;',
        replace: 'const isDecided = message.seq < 0;',
      },
      {
        file: pushes,
        find: "import { faultOf } from '../protocol/faults.js';",
        replace:
          "import { faultOf } from '../protocol/faults.js';\nimport { elementsOfRows, partsOfRows } from '../tensor/rowLayout.js';",
      },
      {
        file: pushes,
        find: 'if (seq <= session.decidedSeq) {\n',
        replace: `if (seq <= session.decidedSeq) {
      const { gradient, message: { rows = [] } } = push;
      const { tables } = state;
      if (gradient !== undefined) {
        const at = gradient.length - elementsOfRows(rows, tables.dims);
        const parts = partsOfRows(rows, tables.dims, gradient, at);
        const how = { factor: 1, clipValue: Infinity, rates: state.table.ratesNow(1) };
        const job = tables.update(parts, how);
        while (!job.run({ elements: 1e9 }));
        tables.publish();
      }
`,
      },
    ],
    options: { ...ROWS, faults: ['reset', 'killServer'] },
  },
  {
    name: 'a row in use is evicted',
    bug: 'the first row of a push stays in the order of eviction while it is updated',
    patches: [
      {
        file: rowUpdate,
        find: 'if (isTaking) order?.take(row);\n      else order?.putBack(row);',
        replace:
          'const stays = i === 0 && (order?.countOf(row) ?? 0) > 0;\n      if (stays) continue;\n      if (isTaking) order?.take(row);\n      else order?.putBack(row);',
      },
    ],
    options: ROWS,
  },
  {
    name: 'birth depends on order',
    bug: 'first values of a row depend on which rows were born before',
    patches: [
      {
        file: 'core/tensor/initialRows.ts',
        find: 'const stream = this.#random.fork(high * TWO_32 + low);',
        replace: 'const stream = this.#random;',
      },
    ],
    options: ROWS,
  },
  {
    name: 'order of eviction not saved',
    bug: 'a checkpoint has the rows of a bounded table in another order than that of eviction',
    patches: [
      {
        file: 'core/table/tableImage.ts',
        find: 'this.#rows = (table.order ?? table.index).entries();',
        replace: 'this.#rows = table.index.entries();',
      },
    ],
    options: { ...ROWS, durability: 'journal' },
  },
  {
    name: 'uses not saved',
    bug: 'a recovered table takes every row for used once',
    patches: [
      {
        file: 'core/table/tableImage.ts',
        find: 'table.order?.putBack(row, arrays.uses[i]);',
        replace: 'table.order?.putBack(row);',
      },
    ],
    options: { ...ROWS, durability: 'journal' },
  },
  {
    name: 'rows without the bound',
    bug: 'a pull of rows does not wait for the staleness bound',
    patches: [
      {
        file: 'core/server/pulls.ts',
        find: 'if (!message.training) return undefined;',
        replace: 'if (!message.training || message.t !== MessageType.pull) return undefined;',
      },
    ],
    options: ROWS,
  },
  {
    name: 'rows of the first push only',
    bug: 'of two pushes of one worker in a clock, BSP forgets the rows of the first',
    patches: [
      {
        file: 'core/table/clockBuffer.ts',
        find: 'const before = rows.get(table) ?? {',
        replace: 'const before = rows.get(-1) ?? {',
      },
    ],
    options: { ...ROWS, consistency: bsp() },
  },
  {
    name: 'delay of rows',
    bug: 'rows that were pulled earlier than the tensors do not count for the delay of a push',
    patches: [
      {
        file: 'core/worker/computedFrom.ts',
        find: 'return this.#rows === undefined ? this.#dense : older(this.#dense, this.#rows);',
        replace: 'return this.#dense;',
      },
    ],
    options: { ...ROWS, faults: FAULT_GROUPS.network },
  },
];
