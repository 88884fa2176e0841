/**
 * What one worker in five can do to the digits, and what `bsp({ aggregate })` does about it: the mean accuracy over
 * some seeds for each way to merge updates, when all workers are honest, when one turns its gradients round, and when
 * it also sends them ten times as large.
 *
 *     npx tsx examples/byzantine/main.ts --seeds 10 --steps 150
 */
import { parseArgs } from 'node:util';
import { loadDigits, splitDigits } from '../digits/data.js';
import { trainedAccuracy } from './training.js';

const AGGREGATES = ['mean', 'median', 'trimmedMean', 'krum'] as const;
const FACTORS = [1, -1, -10];

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '10' }, steps: { type: 'string', default: '150' } },
});
const [seeds, steps] = [Number(values.seeds), Number(values.steps)];
const digits = splitDigits(loadDigits());

console.log(`accuracy over ${seeds} seeds, ${steps} steps of 5 workers: mean (lowest to highest)\n`);
console.log(line('', ['all honest', 'one flips signs', 'one sends −10 ×']));
for (const aggregate of AGGREGATES) {
  const cells: string[] = [];
  for (const factor of FACTORS) {
    const results: number[] = [];
    for (let seed = 1; seed <= seeds; seed++) {
      results.push(await trainedAccuracy(digits, { aggregate, factor, steps, seed }));
    }
    const mean = results.reduce((sum, each) => sum + each, 0) / seeds;
    cells.push(`${mean.toFixed(3)} (${Math.min(...results).toFixed(3)}–${Math.max(...results).toFixed(3)})`);
  }
  console.log(line(aggregate, cells));
}

function line(name: string, cells: readonly string[]): string {
  return [name.padEnd(12), ...cells.map((cell) => cell.padEnd(22))].join('').trimEnd();
}
