/**
 * Rows of a sparse table, end to end: one server, one worker, on a core each. Dim 1 with sorted ids in batches of 10 M is
 * ps-lite's own benchmark; dim 16 with random ids over a table of 10 M rows is what embeddings do. Then the table's
 * memory, and small pulls while four others write.
 */
import { join } from 'node:path';
import { Child } from '../childProcess.js';
import { type Ground, onItsCpu } from '../driver.js';
import { numberIn } from '../lines.js';
import type { Row } from '../report.js';
import { spreadOf } from '../statistics.js';
import type { Context, Suite } from '../suite.js';

const MILLION = 1_000_000;
/** Batches of one measurement. */
const BATCHES = 4;
const WRITERS = 4;
/** Of each writer: so many rows at a time. */
const WRITTEN = 65_536;
const PULLED = 256;
const PULLS = 1_000;

interface Case {
  readonly title: string;
  readonly dim: number;
  readonly rows: number;
  readonly batch: number;
  readonly order: 'sorted' | 'random' | 'ordered';
}

/** The processes of one case. */
class Bench {
  readonly server: Child;
  readonly #command: (kind: 'server' | 'worker', words: string[]) => string[];
  readonly #workers: Child[] = [];
  #url = '';

  /** `isPinned`: the server and its workers on CPUs of their own. */
  constructor(ground: Ground, dim: number, isPinned: boolean) {
    const program = join(ground.buildDir, 'rowsChild.js');
    this.#command = (kind, words) => [
      ...(isPinned ? onItsCpu(ground, kind) : []),
      ...[process.execPath, program, kind, ...words],
    ];
    this.server = new Child('server of rows', this.#command('server', [String(dim)]));
  }

  async worker(): Promise<Child> {
    if (this.#url === '') this.#url = String((await this.server.next()).url);
    const worker = new Child('worker of rows', this.#command('worker', [this.#url]));
    this.#workers.push(worker);
    await worker.next();
    return worker;
  }

  async end(): Promise<void> {
    for (const child of [...this.#workers, this.server]) await child.end();
  }
}

/** Rows per second and bytes per row. */
export const rows: Suite = {
  name: 'rows',
  about: 'rows of a sparse table pulled and pushed per second; their memory; small pulls beside writers',
  async run(context) {
    const size = context.isQuick ? MILLION / 10 : 10 * MILLION;
    const cases: Case[] = [
      { title: 'dim 1, sorted ids', dim: 1, rows: size, batch: size, order: 'sorted' },
      { title: 'dim 16, random ids', dim: 16, rows: size, batch: size / 10, order: 'random' },
      { title: 'dim 16, random ids in order', dim: 16, rows: size, batch: size / 10, order: 'ordered' },
    ];
    for (const each of cases) context.report(await measured(context, each));
    context.report(await besideWriters(context, size));
  },
};

async function measured({ ground, timing }: Context, each: Case): Promise<Row[]> {
  const { title, dim, batch, order } = each;
  const bench = new Bench(ground, dim, true);
  const rates = { push: [] as number[], pull: [] as number[] };
  try {
    const worker = await bench.worker();
    await worker.ask(`fill ${dim} ${each.rows}`);
    const count = order === 'sorted' ? BATCHES / 2 : BATCHES;
    // The first turn warms up.
    for (let turn = 0; turn <= timing.repetitions; turn++) {
      for (const what of ['push', 'pull'] as const) {
        const { ms } = await worker.ask(`${what} ${dim} ${each.rows} ${batch} ${order} ${count}`);
        if (turn > 0) rates[what].push((count * batch) / Number(ms) / 1000);
      }
    }
    const pushes = 1 + (timing.repetitions + 1) * count;
    const isChecked = order !== 'sorted' || (await worker.ask(`check ${each.rows} ${pushes}`)).ok === true;
    if (!isChecked) throw new Error(`${title}: the rows are not what was pushed`);
    const memory = await bench.server.ask('memory');
    const held = numberIn(memory, 'rows');
    const bytes = numberIn(memory, 'bytes') / held;
    const name = {
      suite: 'rows',
      case: `${title}, ${(each.rows / MILLION).toLocaleString('en')} M rows`,
      isChecked,
    };
    return [
      ...(['push', 'pull'] as const).map((what) => ({
        ...name,
        subject: `${what}ed in batches of ${(batch / MILLION).toLocaleString('en')} M`,
        unit: 'M rows/s',
        value: spreadOf(rates[what]),
      })),
      {
        ...name,
        subject: 'memory of the table',
        unit: 'bytes/row',
        value: spreadOf([bytes]),
        more: { 'to id + values': bytes / (8 + 4 * dim), 'server MiB': numberIn(memory, 'rss') / 2 ** 20 },
      },
    ];
  } finally {
    await bench.end();
  }
}

async function besideWriters({ ground, timing, isQuick }: Context, size: number): Promise<Row[]> {
  const bench = new Bench(ground, 16, false);
  const times: number[] = [];
  const more = { 'p50 ms': 0, 'max ms': 0 };
  const alone: number[] = [];
  try {
    const reader = await bench.worker();
    await reader.ask(`fill 16 ${size}`);
    const ask = async (): Promise<{ p50: number; p99: number; max: number }> => {
      const { p50, p99, max } = await reader.ask(`pulls 16 ${size} ${PULLED} ${isQuick ? 200 : PULLS}`);
      return { p50: Number(p50), p99: Number(p99), max: Number(max) };
    };
    for (let turn = 0; turn < timing.repetitions; turn++) alone.push((await ask()).p99);
    for (let k = 0; k < WRITERS; k++) {
      const writer = await bench.worker();
      await writer.ask(`forever 16 ${size} ${isQuick ? WRITTEN / 8 : WRITTEN} random`);
    }
    for (let turn = 0; turn < timing.repetitions; turn++) {
      const { p50, p99, max } = await ask();
      times.push(p99);
      more['p50 ms'] = Math.max(more['p50 ms'], p50);
      more['max ms'] = Math.max(more['max ms'], max);
    }
  } finally {
    await bench.end();
  }
  const name = { suite: 'rows', case: `${PULLED} rows of dim 16, pulled`, unit: 'p99 ms', isChecked: true };
  return [
    { ...name, subject: 'alone', value: spreadOf(alone) },
    {
      ...name,
      subject: `beside ${WRITERS} that push ${WRITTEN.toLocaleString('en')} random rows at a time`,
      value: spreadOf(times),
      more,
    },
  ];
}
