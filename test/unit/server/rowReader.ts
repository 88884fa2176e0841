/** A reader as a test plays it that keeps a copy of a table, as `docs/protocol.md` says under "Watching rows". */
import { decodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import type { RowChanges, WatchRows } from '../../../src/core/protocol/rowMessages.js';
import { FakeWorker } from './fakeWorker.js';
import type { TestServer } from './kit.js';

/** One reader of table `table`. */
export class RowReader extends FakeWorker {
  /** What it holds. */
  readonly copy = new Map<number, number[]>();
  /** What it was answered, oldest first. */
  readonly answers: RowChanges[] = [];
  readonly #table: number;
  readonly #dim: number;
  #asked = 5000;

  constructor(server: TestServer, id: string, table: number, dim: number) {
    super(server, id, { readOnly: true });
    this.#table = table;
    this.#dim = dim;
    this.connect();
    this.hello();
    this.lines();
  }

  /** The last answer. */
  get answer(): RowChanges {
    return this.answers.at(-1) as RowChanges;
  }

  /** Asks for what is behind the last answer; returns the request. */
  ask(fields: Partial<WatchRows> = {}): number {
    const last = this.answers.at(-1);
    const known = last && {
      since: { incarnation: this.welcome?.incarnation ?? '', version: last.version },
      mark: last.mark,
      from: last.next,
    };
    const request = ++this.#asked;
    this.send({ t: MessageType.watchRows, request, table: this.#table, wait: false, ...known, ...fields });
    return request;
  }

  /** Asks until there is no more. */
  catchUp(): void {
    do this.ask();
    while (this.answer.more);
  }

  override receive(frame: Uint8Array): void {
    const { message, payload } = decodeFrame(frame);
    if (message.t !== MessageType.rowChanges) super.receive(frame);
    else this.#take(message, payload.slice());
  }

  #take(message: RowChanges, payload: Uint8Array): void {
    const { rows, gone, whole } = message;
    const ids = (at: number, count: number) => [
      ...new BigUint64Array(payload.slice(at, at + 8 * count).buffer),
    ];
    const values = new Float32Array(payload.slice(8 * rows, 8 * rows + 4 * rows * this.#dim).buffer);
    this.answers.push(message);
    if (whole) this.copy.clear();
    ids(0, rows).forEach((id, i) => {
      this.copy.set(Number(id), [...values.subarray(i * this.#dim, (i + 1) * this.#dim)]);
    });
    for (const id of ids(payload.length - 8 * gone, gone)) this.copy.delete(Number(id));
  }
}

/** The rows that a table has, as the reader would hold them. */
export function rowsOfTable(server: TestServer, position: number): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  const table = server.core.state.tables.tables[position];
  if (table === undefined) return rows;
  const { words } = table.page(0, table.rows);
  const values = new Float32Array((words.length / 2) * table.spec.dim);
  table.read(words, 0, words.length / 2, values);
  for (let i = 0; i < words.length / 2; i++) {
    const id = (words[2 * i + 1] as number) * 2 ** 32 + (words[2 * i] as number);
    rows.set(id, [...values.subarray(i * table.spec.dim, (i + 1) * table.spec.dim)]);
  }
  return rows;
}
