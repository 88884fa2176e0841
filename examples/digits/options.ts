/**
 * The flags of the demo: `npm run demo -- --workers 2 --consistency bsp`. A wrong one ends the
 * process with a line that says what is expected.
 */
import { parseArgs } from 'node:util';
import { asp, bsp, type Consistency, ssp } from 'pslib';
import { LEARNING_RATE } from './settings.js';

export interface DemoOptions {
  /** Worker processes, 1 to 64; 4. */
  readonly workers: number;
  /** Steps of each worker, 1 to 100,000; 300. */
  readonly steps: number;
  /** Decides the initial parameters and the order of the digits; 1. */
  readonly seed: number;
  /** Adam's step size at the start, above 0; 0.008. */
  readonly learningRate: number;
  /** Train with a part of the training digits, and be judged by the others instead of the test digits. */
  readonly validation: boolean;
  /** Keep the dashboard open when training is over. */
  readonly stay: boolean;
  /** Milliseconds that a worker rests in each step: with `--stay` enough for half a minute to watch; else 0. */
  readonly restMs: number;
  /** `--consistency ssp|bsp|asp` with `--staleness` (ssp only); ssp with 3. */
  readonly consistency: Consistency;
}

const USAGE = `Options of the demo (default):
  --workers N        worker processes, 1 to 64 (4)
  --steps N          steps of each worker, 1 to 100000 (300)
  --consistency M    ssp, bsp or asp (ssp)
  --staleness N      how many clocks a worker may be ahead of the slowest, with ssp (3)
  --seed N           decides the initial parameters and the order of the digits (1)
  --learning-rate X  step size of the optimizer at the start, above 0 (${LEARNING_RATE})
  --validation       hold out a part of the training digits and measure the accuracy on
                     these, not on the test digits: for choosing the other options
  --stay             train so slowly that it can be watched, half a minute, and keep the
                     dashboard open when training is over, until Ctrl-C`;

/** How long training takes that is to be watched, about. */
const WATCHED_MS = 30_000;

/** Reads the command line; ends the process after --help or a wrong option. */
export function readOptions(): DemoOptions {
  try {
    const { values } = parseArgs({
      options: {
        workers: { type: 'string', default: '4' },
        steps: { type: 'string', default: '300' },
        consistency: { type: 'string', default: 'ssp' },
        staleness: { type: 'string', default: '3' },
        seed: { type: 'string', default: '1' },
        'learning-rate': { type: 'string', default: `${LEARNING_RATE}` },
        validation: { type: 'boolean', default: false },
        stay: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const steps = integer('steps', values.steps, 1, 100_000);
    return {
      workers: integer('workers', values.workers, 1, 64),
      steps,
      seed: integer('seed', values.seed, 0, 2 ** 31 - 1),
      learningRate: positive('learning-rate', values['learning-rate']),
      validation: values.validation,
      stay: values.stay,
      restMs: values.stay ? Math.min(100, Math.round(WATCHED_MS / steps)) : 0,
      consistency: consistencyNamed(values.consistency, integer('staleness', values.staleness, 0, 1_000_000)),
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    process.exit(2);
  }
}

function consistencyNamed(name: string, staleness: number): Consistency {
  if (name === 'ssp') return ssp({ staleness });
  if (name === 'bsp') return bsp();
  if (name === 'asp') return asp();
  throw new RangeError(`--consistency must be ssp, bsp or asp, not ${name}`);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new RangeError(`--${name} must be a number above 0, not ${text}`);
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`--${name} must be an integer from ${least} to ${most}, not ${text}`);
}
