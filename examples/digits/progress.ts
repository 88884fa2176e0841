/**
 * Shows how training goes: a bar on a terminal, a line for each tenth of the way elsewhere.
 */
import { MultiBar, Presets } from 'cli-progress';

/** One look at the training. */
export interface Report {
  /** Steps that every worker has completed. */
  readonly minClock: number;
  /** Mean loss of the workers' latest batches; NaN when there is none yet. */
  readonly loss: number;
  /** Share of the test digits read rightly, when it was last measured; NaN before. */
  readonly accuracy: number;
  /** Id of the worker with the lowest clock. */
  readonly slowest: string;
}

export interface Progress {
  show(report: Report): void;
  /** A remark that stays on the screen. */
  note(text: string): void;
  stop(): void;
}

/** Progress towards a minClock of `steps`. */
export function startProgress(steps: number): Progress {
  return process.stdout.isTTY ? barOf(steps) : linesOf(steps);
}

function barOf(steps: number): Progress {
  // 79 columns with numbers of three digits: a terminal of 80 shows all of it.
  const format = '{bar} minClock {value}/{total}  loss {loss}  accuracy {accuracy}  slowest {slowest}';
  // A MultiBar with one bar, since it can write lines above itself.
  const bars = new MultiBar({ format, barsize: 16, stream: process.stdout }, Presets.shades_classic);
  const bar = bars.create(steps, 0, { loss: '–', accuracy: '–', slowest: '–' });
  return {
    show: (report) => bar.update(report.minClock, textsOf(report)),
    note: (text) => bars.log(`${text}\n`),
    stop() {
      // Writes the notes that wait for the next redrawing.
      bars.update();
      bars.stop();
    },
  };
}

function linesOf(steps: number): Progress {
  let tenths = 0;
  return {
    show(report) {
      const reached = Math.floor((10 * report.minClock) / steps);
      if (reached <= tenths) return;
      tenths = reached;
      const { loss, accuracy, slowest } = textsOf(report);
      console.log(
        `minClock ${report.minClock}/${steps}  loss ${loss}  accuracy ${accuracy}  slowest ${slowest}`,
      );
    },
    note: (text) => console.log(text),
    stop() {},
  };
}

function textsOf({ loss, accuracy, slowest }: Report): Record<'loss' | 'accuracy' | 'slowest', string> {
  return { loss: textOf(loss), accuracy: textOf(accuracy), slowest };
}

/** A dash stands for what has not been measured yet. */
function textOf(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(3);
}
