import { describe, expect, it } from 'vitest';
import { TestServer, type TestServerOptions } from './kit.js';
import { pushRows } from './rowPushes.js';
import { RowReader, rowsOfTable } from './rowReader.js';

const OPTIONS = { parameters: { w: { shape: [1] } }, tables: { words: { dim: 2 } } } as const;

function serve(options: TestServerOptions = {}): TestServer {
  return new TestServer({ ...OPTIONS, ...options });
}

/** Changes the rows `ids`. */
function change(worker: ReturnType<TestServer['worker']>, ...ids: number[]): void {
  pushRows(worker, [{ table: 0, ids, values: ids.flatMap(() => [1, 2]) }]);
}

describe('a reader that watches a table', () => {
  it('first gets all rows, then those that have changed', () => {
    const server = serve();
    const a = server.worker('a');
    change(a, 3, 2 ** 40);
    const reader = new RowReader(server, 'r', 0, 2);
    reader.ask();
    expect(reader.answer).toMatchObject({ whole: true, more: false, rows: 2, gone: 0, version: 1 });
    expect(reader.copy).toEqual(
      new Map([
        [3, [-1, -2]],
        [2 ** 40, [-1, -2]],
      ]),
    );
    change(a, 3, 7);
    change(a, 3);
    reader.ask();
    expect(reader.answer).toMatchObject({ whole: false, more: false, rows: 2, version: 3 });
    expect(reader.copy.get(3)).toEqual([-3, -6]);
    reader.ask();
    expect(reader.answer).toMatchObject({ rows: 0, gone: 0, more: false, version: 3 });
  });

  it('gets a long table in parts, with what changes meanwhile behind them', () => {
    // Two rows of 16 bytes in an answer.
    const server = serve({ limits: { chunkBytes: 32 } });
    const a = server.worker('a');
    change(a, 1, 2, 3, 4, 5);
    const reader = new RowReader(server, 'r', 0, 2);
    reader.ask();
    expect(reader.answer).toMatchObject({ whole: true, more: true, rows: 2, next: 3 });
    change(a, 1, 9);
    reader.ask();
    expect([...reader.copy.keys()]).toEqual([1, 2, 3, 4]);
    reader.ask();
    expect(reader.answer).toMatchObject({ whole: false, more: true, rows: 2 });
    expect(reader.answer.next).toBeUndefined();
    reader.catchUp();
    expect(reader.copy).toEqual(rowsOfTable(server, 0));
    expect(reader.copy.get(1)).toEqual([-2, -4]);
  });

  it('waits for so many versions, and no longer than it said', () => {
    const server = serve();
    const a = server.worker('a');
    const reader = new RowReader(server, 'r', 0, 2);
    reader.catchUp();
    reader.ask({ wait: true, versions: 2, withinMs: 500 });
    change(a, 1);
    expect(reader.answers).toHaveLength(1);
    change(a, 1);
    expect(reader.answer).toMatchObject({ version: 2, rows: 1 });
    reader.ask({ wait: true, versions: 2, withinMs: 500 });
    change(a, 2);
    expect(server.core.nextTickAt()).toBe(server.now + 500);
    server.wait(499);
    expect(reader.answers).toHaveLength(2);
    server.wait(1);
    expect(reader.answer).toMatchObject({ version: 3, rows: 1 });
    reader.ask({ wait: true, withinMs: 500 });
    server.wait(500);
    expect(reader.answer).toMatchObject({ version: 3, rows: 0, more: false });
  });

  it('begins anew when it has missed too much, or the server is another', () => {
    const server = serve({ limits: { watchedIds: 4 } });
    const a = server.worker('a');
    const reader = new RowReader(server, 'r', 0, 2);
    reader.catchUp();
    change(a, 1, 2, 3, 4);
    reader.ask();
    expect(reader.answer).toMatchObject({ whole: false, rows: 4 });
    change(a, 1, 2, 3);
    change(a, 1, 2);
    reader.ask();
    expect(reader.answer).toMatchObject({ whole: true, rows: 4 });
    change(a, 1, 2, 3, 4, 5);
    reader.ask({ wait: true, versions: 100 });
    expect(reader.answer).toMatchObject({ whole: true, rows: 5 });
    reader.ask({ since: { incarnation: 'another', version: 3 } });
    expect(reader.answer).toMatchObject({ whole: true, rows: 5 });
    expect(reader.copy).toEqual(rowsOfTable(server, 0));
  });

  it('is told of rows that were evicted', () => {
    const server = serve({ tables: { words: { dim: 2, maxRows: 2 } } });
    const a = server.worker('a');
    const reader = new RowReader(server, 'r', 0, 2);
    reader.catchUp();
    change(a, 1, 2);
    reader.catchUp();
    change(a, 2, 5);
    reader.ask();
    expect(reader.answer).toMatchObject({ rows: 2, gone: 1 });
    expect([...reader.copy.keys()].sort()).toEqual([2, 5]);
  });

  it('sees no half of an update that takes many turns', () => {
    const server = serve({ tables: { words: { dim: 16, maxRows: 13_000 } } });
    const a = server.worker('a');
    const push = (first: number): void => {
      const ids = Array.from({ length: 12_000 }, (_, i) => first + i);
      pushRows(a, [{ table: 0, ids, values: Array(16 * ids.length).fill(1) }]);
    };
    push(0);
    server.isContinuing = false;
    const early = new RowReader(server, 'early', 0, 16);
    early.catchUp();
    // Evicts rows that early readers have.
    push(6_000);
    const before = new RowReader(server, 'before', 0, 16);
    before.ask();
    early.ask();
    expect(server.version).toBe(1);
    // A row that is being born has its first values until then.
    for (const [id, value] of before.copy) expect(value[0]).toBe(id < 12_000 ? -1 : 0);
    expect(early.answer).toMatchObject({ rows: 0, gone: 0, version: 1 });
    while (server.proceed());
    expect(server.version).toBe(2);
    for (const reader of [early, before]) {
      reader.catchUp();
      expect(reader.answer.version).toBe(2);
      expect(reader.copy).toEqual(rowsOfTable(server, 0));
    }
  });

  it('is forgotten with its connection and by Cancel, and goes on over the next connection', () => {
    const server = serve();
    const a = server.worker('a');
    const reader = new RowReader(server, 'r', 0, 2);
    reader.catchUp();
    reader.cancel(reader.ask({ wait: true }));
    expect(server.core.view.pulls.watches.waiting).toBe(0);
    reader.ask({ wait: true });
    reader.drop();
    expect(server.core.view.pulls.watches.waiting).toBe(0);
    change(a, 8);
    reader.reconnect();
    reader.lines();
    reader.ask({ wait: true });
    expect(reader.answer).toMatchObject({ whole: false, rows: 1 });
  });

  it('may not ask for what is not there, nor without bound', () => {
    const server = serve({ limits: { maxRequests: 2 } });
    const none = new RowReader(server, 'none', 5, 2);
    none.ask();
    expect(none.lines()).toEqual(['request 5001 refused: PS_UNKNOWN_TENSOR']);
    const many = new RowReader(server, 'many', 0, 2);
    many.catchUp();
    for (let i = 0; i < 3; i++) many.ask({ wait: true });
    expect(many.lines()).toEqual(['request 5004 refused: PS_LIMIT']);
    expect(server.core.view.pulls.watches.waiting).toBe(2);
    // Nobody who does not train makes others wait for what it watches.
    expect(server.table).toBe('');
  });
});
