/**
 * The figures that this project wants to reach, held against the rows of a run. Those whose rows were not
 * measured are left out. Ratios are taken within the run, as absolute figures say little on shared machines.
 */
import { figure, type Row } from './report.js';

/** One target, and whether a run reached it. */
export interface Verdict {
  readonly target: string;
  readonly wanted: string;
  readonly measured: string;
  readonly isReached: boolean;
}

interface Target {
  readonly target: string;
  readonly wanted: string;
  /** The figure of a run; undefined if it was not measured. */
  readonly measured: (find: Find) => number | undefined;
  readonly isReached: (measured: number) => boolean;
}

/** A row by suite, beginning of the case, and subject. */
type Find = (suite: string, caseStart: string, subject: string) => Row | undefined;

const PSLIB = 'pslib';
const PUSH_PULL = 'pslib, pushPull in one exchange';
const NAIVE = 'ws + msgpack, naive';
const ECHO = 'bare ws echo';

const OPTIMIZERS = ['sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'ftrl'];
const PINNED_VERSIONS = 2;
/** The staging pool's default where the model is smaller. */
const STAGING_MIB = 1024;

const TARGETS: readonly Target[] = [
  ...[
    ['4 KB', 0.85],
    ['1 MB', 0.9],
    ['16 MB', 0.9],
    ['100 MB', 0.9],
  ].map(([size, least]) => ofRawC(`${size}, 1 worker`, PSLIB, least as number)),
  ...[
    ['4 KB', 0.5],
    ['1 MB', 0.6],
    ['16 MB', 0.6],
    ['100 MB', 0.6],
  ].map(([size, least]) => ofRawC(`${size}, 4 workers`, PSLIB, least as number)),
  ofRawC('4 KB, 1 worker', PUSH_PULL, 1.6),
  ofRawC('1 MB, 1 worker', PUSH_PULL, 1),
  ...[
    ['1 MB', 6],
    ['16 MB', 10],
    ['100 MB', 10],
  ].map(([size, least]): Target => {
    const name = `${size}, 1 worker`;
    return atLeast(`round of ${name}, against naive`, least as number, (find) =>
      quotient(find('round', name, PSLIB), find('round', name, NAIVE)),
    );
  }),
  atMost('4 KB round, p50 against two bare ws echoes', 1.3, (find) => {
    const p50 = (subject: string) => find('round', '4 KB, 1 worker', subject)?.more?.['p50 ms'];
    const [own, echo] = [p50(PSLIB), p50(ECHO)];
    return own === undefined || echo === undefined ? undefined : own / echo;
  }),
  atLeast('64 workers in 2 processes, against 4 workers', 1, (find) =>
    ratioOf(find('crowd', '4 KB, pslib', '64 workers in 2 processes')),
  ),
  atLeast('fan-out to 16 workers, against 1', 0.8, (find) =>
    ratioOf(find('fan-out', '16 MB, pulls only, pslib', '16 workers')),
  ),
  atLeast('empty tasks to 8 workers, a second', 20_000, (find) =>
    medianOf(find('tasks', '100,000 empty tasks', 'tasks.map')),
  ),
  atLeast('1 GB of items to 2 workers, against pulls', 0.5, (find) =>
    ratioOf(find('tasks', '1 GB to 2 workers', 'items of 1 MB, 16 in a data shard')),
  ),
  atLeast('100 MB as 1,000 tensors, against 1', 0.9, (find) =>
    ratioOf(find('many-tensors', '100 MB', '1,000 tensors')),
  ),
  atMost('p99 of 4 KB pulls beside rounds of 1 GB, ms', 10, (find) =>
    medianOf(find('prompt', '4 KB pulls beside rounds of 1 GB', 'beside the large rounds')),
  ),
  atMost('longest stall of the server beside them, ms', 20, (find) => {
    return find('prompt', '4 KB pulls beside rounds of 1 GB', 'beside the large rounds')?.more?.[
      'stall max ms'
    ];
  }),
  ...['16 MB', '100 MB'].map((size) =>
    atLeast(`2 servers and 2 workers at ${size}, against 1 server`, 1, (find) =>
      ratioOf(find('group', `${size}, 2 workers`, 'pslib, 2 servers')),
    ),
  ),
  ...['2', '3'].map((count) =>
    atMost(`processor time of ${count} servers at 100 MB, against 1`, 1.1, (find) =>
      ratioOf(find('group', '100 MB, 1 worker, all servers', `pslib, ${count} servers`)),
    ),
  ),
  atMost("longest stall of a shard during a group's checkpoint of 1 GB, ms", 20, (find) =>
    medianOf(find('group-checkpoint', '1 GB', 'longest stall during it')),
  ),
  ...[1, 4].map((workers): Target => {
    const name = `100 MB, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
    return atMost(`peak memory of the server at ${name}, MiB`, memoryLimit(100, workers), (find) => {
      return find('round', name, PSLIB)?.more?.['server MiB'];
    });
  }),
  ...['1,048,576', '4,194,304'].map((elements) =>
    atLeast(`slowest optimizer kernel, ${elements} parameters, against C`, 0.8, (find) => {
      const ratios = OPTIMIZERS.map((name) => ratioOf(find('kernels', `${elements} elements`, name)));
      return ratios.every((ratio) => ratio !== undefined) ? Math.min(...ratios) : undefined;
    }),
  ),
  atLeast('pushes of 4 KB, 8 workers: with a journal against none', 0.8, (find) =>
    ratioOf(find('durability', '4 KB, 8 workers', 'journal')),
  ),
  ...['1 worker', '4 workers'].map((workers) =>
    atLeast(`pushes of 16 MB, ${workers}, with a journal: against the disk alone or memory`, 0.9, (find) => {
      const of = (subject: string) => medianOf(find('durability', `16 MB, ${workers}`, subject));
      const bounds = [of('the disk alone, write and sync'), of('memory')];
      const measured = of('journal');
      if (measured === undefined || bounds[0] === undefined || bounds[1] === undefined) return undefined;
      return measured / Math.min(bounds[0], bounds[1]);
    }),
  ),
  ...['65,536 pushes of 4 KB', '16 pushes of 16 MB', '2 pushes of 100 MB'].map((journal) =>
    atMost(`recovery of 100 MB with ${journal} of journal, ms`, 5000, (find) =>
      medianOf(find('recovery', '100 MB model', journal)),
    ),
  ),
  atMost('p99 until a worker goes on, from listening again after kill -9, ms', 2000, (find) => {
    return find('reconnect', 'server killed', '4 workers, defaults')?.more?.['p99 ms'];
  }),
  atMost('growth over 10,000 rounds, MiB', 4, (find) => medianOf(find('growth', '1 MB', PSLIB))),
  ...(
    [
      ['dim 1, sorted ids', 'pulled in batches of 10 M', 15],
      ['dim 1, sorted ids', 'pushed in batches of 10 M', 22],
      ['dim 16, random ids,', 'pulled in batches of 1 M', 5],
      ['dim 16, random ids,', 'pushed in batches of 1 M', 5],
    ] as const
  ).map(([name, subject, least]) =>
    atLeast(`rows ${subject}, ${name.replace(/,$/, '')}, M/s`, least, (find) =>
      medianOf(find('rows', name, subject)),
    ),
  ),
  ...['dim 1, sorted ids', 'dim 16, random ids,'].map((name) =>
    atMost(`memory of a table against 8-byte ids and values, ${name.replace(/,$/, '')}`, 1.35, (find) => {
      return find('rows', name, 'memory of the table')?.more?.['to id + values'];
    }),
  ),
  atMost('p99 of pulls of 256 rows beside 4 writers, ms', 5, (find) =>
    medianOf(find('rows', '256 rows of dim 16', 'beside 4 that push 65,536 random rows at a time')),
  ),
  atMost('time per clock, slow steps: SSP(3) against BSP', 0.65, (find) =>
    ratioOf(find('stragglers', '8 workers, steps of 10 ms, each step', 'SSP(3)')),
  ),
  atMost('time per clock, one slow worker: ASP against BSP', 0.3, (find) =>
    ratioOf(find('stragglers', '8 workers, steps of 10 ms, one worker', 'ASP')),
  ),
];

/**
 * What a server may hold at most, in MiB: itself, the parameters and the versions that readers may have pinned,
 * gradients under way, and what a connection needs.
 */
function memoryLimit(modelMiB: number, workers: number): number {
  return (
    80 +
    modelMiB * (1 + PINNED_VERSIONS) +
    Math.min(modelMiB * workers, Math.max(modelMiB, STAGING_MIB)) +
    8 * workers
  );
}

/** The targets that `rows` say something about. */
export function verdictsOf(rows: readonly Row[]): Verdict[] {
  const find: Find = (suite, caseStart, subject) =>
    rows.find((row) => row.suite === suite && row.case.startsWith(caseStart) && row.subject === subject);
  return TARGETS.flatMap(({ target, wanted, measured, isReached }) => {
    const value = measured(find);
    if (value === undefined) return [];
    return [{ target, wanted, measured: figure(value), isReached: isReached(value) }];
  });
}

function ofRawC(name: string, subject: string, least: number): Target {
  return atLeast(`${subject === PUSH_PULL ? 'pushPull' : 'round'} of ${name}, against raw C`, least, (find) =>
    ratioOf(find('round', name, subject)),
  );
}

function atLeast(target: string, least: number, measured: Target['measured']): Target {
  return { target, wanted: `≥ ${least}`, measured, isReached: (value) => value >= least };
}

function atMost(target: string, most: number, measured: Target['measured']): Target {
  return { target, wanted: `≤ ${most}`, measured, isReached: (value) => value <= most };
}

function ratioOf(row: Row | undefined): number | undefined {
  return row?.ratio?.median;
}

function medianOf(row: Row | undefined): number | undefined {
  return row?.value?.median;
}

function quotient(above: Row | undefined, below: Row | undefined): number | undefined {
  const [a, b] = [medianOf(above), medianOf(below)];
  return a === undefined || b === undefined ? undefined : a / b;
}
