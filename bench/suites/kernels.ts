/**
 * The kernels, one thread: WASM beside C, plain JavaScript, and WASM on arrays outside its memory. The
 * subjects take turns within each repetition; their results must have the same bits.
 */
import {
  cSubject,
  javascriptSubject,
  KERNELS,
  type KernelName,
  type KernelSubject,
  outsideSubject,
  wasmSubject,
} from '../kernels.js';
import type { Row } from '../report.js';
import { type Spread, spreadOf } from '../statistics.js';
import { type Context, type Suite, sizeText } from '../suite.js';

/** Model sizes in bytes, 4 an element: one that fits into a second-level cache, and two that training meets. */
const SIZES = [2 ** 18, 2 ** 22, 2 ** 24];
/** Elements in a measured stretch, at least: half a millisecond of the fastest. */
const STRETCH = 2 ** 22;

/** Elements per second of every kernel. */
export const kernels: Suite = {
  name: 'kernels',
  about: 'optimizers and other loops: WASM, JavaScript and C, one thread',
  async run(context) {
    const made = [
      wasmSubject(),
      await cSubject(context.ground.buildDir, 'any'),
      await cSubject(context.ground.buildDir, '128'),
      javascriptSubject(),
      outsideSubject('gradient'),
      outsideSubject('all'),
    ];
    const subjects = made.filter((subject) => subject !== undefined);
    if (!subjects.some(({ name }) => name === 'C')) console.log('no C compiler: no ratios\n');
    try {
      for (const bytes of context.sizes ?? (context.isQuick ? SIZES.slice(1, 2) : SIZES)) {
        const rows: Row[] = [];
        for (const kernel of Object.keys(KERNELS) as KernelName[]) {
          rows.push(await rowOf(context, kernel, Math.floor(bytes / 4), subjects));
        }
        context.report(rows);
      }
    } finally {
      for (const subject of subjects) await subject.close?.();
    }
  },
};

async function rowOf(
  context: Context,
  kernel: KernelName,
  elements: number,
  subjects: readonly KernelSubject[],
): Promise<Row> {
  const row = {
    suite: 'kernels',
    case: `${elements.toLocaleString('en')} elements (${sizeText(4 * elements)} an array)`,
    subject: kernel,
    unit: '1e9/s',
  };
  const failure = await differing(kernel, elements, subjects);
  if (failure !== undefined) return { ...row, isChecked: false, failure };
  const rates = await ratesOf(context, elements, subjects);
  const [wasm, c] = [rates.get('WASM'), rates.get('C')];
  const first = wasm ?? rates.get('JavaScript');
  const more: Record<string, number> = {};
  for (const [name, samples] of rates) {
    if (samples === first) continue;
    const { median, min, max } = spreadOf(samples);
    more[name] = median;
    if (name === 'C') Object.assign(more, { 'C min': min, 'C max': max });
  }
  const value: Spread = spreadOf(first ?? []);
  const ratio =
    wasm === undefined || c === undefined ? undefined : spreadOf(wasm.map((w, i) => w / (c[i] ?? 0)));
  return {
    ...row,
    value,
    ...(ratio !== undefined && { ratio, ratioTo: 'C' }),
    more: { 'GB/s': value.median * KERNELS[kernel].bytes, ...more },
    isChecked: true,
  };
}

/** Runs the kernel once everywhere; whose result has other bits than the first one's. */
async function differing(
  kernel: KernelName,
  elements: number,
  subjects: readonly KernelSubject[],
): Promise<string | undefined> {
  const digests: number[] = [];
  for (const subject of subjects) {
    await subject.prepare(kernel, elements);
    await subject.run(1);
    digests.push(await subject.digest());
  }
  const wrong = subjects.filter((_, i) => digests[i] !== digests[0]);
  return wrong.length === 0 ? undefined : `other bits: ${wrong.map(({ name }) => name).join(', ')}`;
}

/** Elements per second, in 1e9, of each subject in each repetition. */
async function ratesOf(
  context: Context,
  elements: number,
  subjects: readonly KernelSubject[],
): Promise<Map<string, number[]>> {
  const times = Math.max(1, Math.round(STRETCH / elements));
  const repetitions = 5 * context.timing.repetitions;
  for (const subject of subjects) await subject.run(times);
  const rates = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const subject of subjects) {
      const nanoseconds = await subject.run(times);
      rates.get(subject.name)?.push((elements * times) / nanoseconds);
    }
  }
  return rates;
}
