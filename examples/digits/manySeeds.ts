/**
 * Runs the demo with one seed after another and prints the test accuracy of each, then mean and
 * spread: what `singleProcess.ts` prints of the same training without workers. Other flags are the
 * demo's.
 *
 *     npx tsx examples/digits/manySeeds.ts --seeds 20 --consistency bsp
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { summaryOf } from './summary.js';

const flags = process.argv.slice(2);
const at = flags.indexOf('--seeds');
const [, count = '20'] = at < 0 ? [] : flags.splice(at, 2);

const accuracies: number[] = [];
for (let seed = 1; seed <= Number(count); seed++) {
  const demo = fork(new URL('./main.ts', import.meta.url), ['--seed', `${seed}`, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  if (demo.stdout === null) throw new Error('the demo has no output');
  const [output, [code]] = await Promise.all([text(demo.stdout), once(demo, 'exit')]);
  const result = /^accuracy (\S+)$/m.exec(output)?.[1];
  if (code !== 0 || result === undefined) throw new Error(`seed ${seed} failed:\n${output}`);
  accuracies.push(Number(result));
  console.log(`seed ${seed}  accuracy ${result}`);
}
console.log(summaryOf(accuracies));
