import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TestServer } from '../../unit/server/kit.js';
import { pushRows } from '../../unit/server/rowPushes.js';
import { RowReader, rowsOfTable } from '../../unit/server/rowReader.js';

const anyStep = fc.oneof(
  fc.record({
    kind: fc.constant('push' as const),
    ids: fc.uniqueArray(fc.oneof(fc.nat(12), fc.constantFrom(2 ** 32, 2 ** 53 - 1)), {
      minLength: 1,
      maxLength: 6,
    }),
    value: fc.integer({ min: -3, max: 3 }),
  }),
  fc.record({ kind: fc.constantFrom('ask', 'wait', 'reconnect', 'skip'), reader: fc.nat(1) }),
);

it('a copy that is complete is the table, whoever asks when', () => {
  const world = fc.record({
    steps: fc.array(anyStep, { minLength: 5, maxLength: 60 }),
    chunkBytes: fc.constantFrom(16, 48, 4096),
    watchedIds: fc.constantFrom(4, 20, 4096),
    maxRows: fc.constantFrom(6, 8, Number.POSITIVE_INFINITY),
    dim: fc.constantFrom(1, 2),
  });
  let wholes = 0;
  let parts = 0;
  let evictions = 0;
  fc.assert(
    fc.property(world, ({ steps, chunkBytes, watchedIds, maxRows, dim }) => {
      const server = new TestServer({
        parameters: { w: { shape: [1] } },
        tables: { words: { dim, ...(maxRows < 10 ? { maxRows } : {}) } },
        limits: { chunkBytes, watchedIds },
      });
      const writer = server.worker('writer');
      const readers = [0, 1].map((i) => new RowReader(server, `reader-${i}`, 0, dim));
      const check = (reader: RowReader): void => {
        if (!reader.answer.more) expect(reader.copy).toEqual(rowsOfTable(server, 0));
      };
      for (const step of steps) {
        if (step.kind === 'push') {
          const ids = [...step.ids].sort((a, b) => a - b);
          pushRows(writer, [{ table: 0, ids, values: Array(dim * ids.length).fill(step.value) }]);
          continue;
        }
        const reader = readers[step.reader] as RowReader;
        if (step.kind === 'reconnect') {
          reader.drop();
          reader.reconnect();
        } else if (step.kind !== 'skip') {
          const before = reader.answers.length;
          reader.ask({ wait: step.kind === 'wait' });
          if (reader.answers.length > before) check(reader);
          else reader.drop();
          if (!reader.isOpen) reader.reconnect();
        }
      }
      for (const reader of readers) {
        reader.catchUp();
        check(reader);
        wholes += reader.answers.filter(({ whole }) => whole).length - 1;
        parts += reader.answers.filter(({ more }) => more).length;
        evictions += reader.answers.reduce((sum, { gone }) => sum + gone, 0);
      }
    }),
    { seed: 5, numRuns: 300 },
  );
  // It has tried what it is about.
  expect(Math.min(wholes, parts, evictions)).toBeGreaterThan(30);
});
