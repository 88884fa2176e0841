/**
 * What `pslib launch` shows: every line of every process behind its name, remarks of its own, and on a
 * terminal a status line below them that says how the processes do.
 */
import { styleText } from 'node:util';
import { MultiBar } from 'cli-progress';
import type { Launch, LaunchedExit, LaunchedProcess } from '../launch/local/launch.js';
import { LaunchProgress } from './launchProgress.js';

/** More processes of a role than this are counted, not drawn. */
const MAX_DRAWN = 24;
const OWN_NAME = 'pslib';
/** Processes take these in turn. */
const COLORS = ['cyan', 'magenta', 'blue', 'yellow', 'green'] as const;

/** The view of one job. */
export class LaunchView {
  readonly #launch: Launch;
  readonly #isTerminal = process.stdout.isTTY === true;
  readonly #isColored = this.#isTerminal && !process.env.NO_COLOR;
  readonly #begun = performance.now();
  readonly #nameWidth: number;
  readonly #colors = new Map<string, (typeof COLORS)[number]>();
  #bars: MultiBar | undefined;
  #isMuted = false;
  #progress: LaunchProgress | undefined;

  constructor(launch: Launch) {
    this.#launch = launch;
    const names = launch.processes.map(({ name }) => name);
    this.#nameWidth = Math.max(OWN_NAME.length, ...names.map(({ length }) => length));
    names.forEach((name, i) => {
      this.#colors.set(name, COLORS[i % COLORS.length] as (typeof COLORS)[number]);
    });
    launch.on('starting', ({ servers }) => {
      this.#note(describeJob(launch.processes, servers));
      if (this.#isTerminal) this.#progress = new LaunchProgress(servers, process.env.PSLIB_TOKEN);
    });
    launch.on('line', ({ name, stream, text }) => this.#print(name, text, stream));
    launch.on('exit', (exit) => this.#noteExit(exit));
    launch.on('start', ({ name, pid, restarts }) => {
      if (restarts > 0) this.#note(`${name} is started again as process ${pid}`);
    });
    launch.on('stopping', ({ reason }) => {
      this.#note(`stopping: ${reason}`);
      void this.#progress?.close();
    });
    if (this.#isTerminal) this.#showStatus();
  }

  /** Shows nothing more: nobody sees it. */
  mute(): void {
    this.#isMuted = true;
    this.#bars?.stop();
  }

  /** Ends the view with a line that says how the job ended. */
  end(exitCode: number): void {
    const failed = this.#launch.processes.filter((each) => (each.exitCode ?? 0) !== 0);
    const restarts = sum(this.#launch.processes.map((each) => each.restarts));
    const parts = [
      exitCode === 0 ? 'all processes ended well' : `ended with exit code ${exitCode}`,
      ...(failed.length === 0 ? [] : [failed.map((each) => `${each.name} ${each.exitCode}`).join(', ')]),
      ...(restarts === 0 ? [] : [`${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`]),
      this.#elapsed(),
    ];
    this.#note(parts.join('; '));
    this.#bars?.update();
    this.#bars?.stop();
    void this.#progress?.close();
  }

  #showStatus(): void {
    this.#bars = new MultiBar({
      format: () => this.#status(),
      stream: process.stdout,
      // It redraws by itself; lines that were written meanwhile have taken the status line's place.
      forceRedraw: true,
      clearOnComplete: true,
      hideCursor: true,
      // Long lines of output are not cut, and signals are ours.
      linewrap: true,
      gracefulExit: false,
    });
    this.#bars.create(1, 0);
  }

  #status(): string {
    const { processes } = this.#launch;
    const of = (role: string) => processes.filter((each) => each.role === role);
    const parts = [`servers ${this.#draw(of('server'))}`, `workers ${this.#draw(of('worker'))}`];
    const restarts = sum(processes.map((each) => each.restarts));
    if (restarts > 0) parts.push(`${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`);
    const progress = this.#progress?.text ?? '';
    return [...parts, ...(progress === '' ? [] : [progress]), this.#elapsed()].join('   ');
  }

  #draw(processes: readonly LaunchedProcess[]): string {
    if (processes.length === 0) return '–';
    const marks = processes.map((each) => markOf(each));
    // Without colours, which would count as columns of the line.
    if (processes.length <= MAX_DRAWN) return marks.map(([sign]) => sign).join('');
    const counts = new Map<string, number>();
    for (const [, word] of marks) counts.set(word, (counts.get(word) ?? 0) + 1);
    return Array.from(counts, ([word, count]) => `${count} ${word}`).join(', ');
  }

  #noteExit({ name, code, signal, failure, restartInMs, isExpected }: LaunchedExit): void {
    const cause = failure ?? (signal === null ? `exit code ${code}` : signal);
    if (restartInMs !== undefined) {
      const ended = code === 0 ? 'ended while there are workers' : `died (${cause})`;
      this.#note(`${name} ${ended}; it is started again in ${(restartInMs / 1000).toFixed(1)} s`);
    } else if (failure !== undefined) {
      this.#note(`${name} could not be started: ${failure}`);
    } else if (code !== 0 && !isExpected) {
      this.#note(`${name} died (${cause}) and is not started again`);
    } else {
      this.#note(`${name} has ended`);
    }
  }

  #note(text: string): void {
    this.#print(OWN_NAME, text, 'stdout');
  }

  #print(name: string, text: string, stream: 'stdout' | 'stderr'): void {
    if (this.#isMuted) return;
    const prefix = this.#paint(this.#colors.get(name) ?? 'gray', `${name.padEnd(this.#nameWidth)} |`);
    const line = `${prefix} ${text}\n`;
    // On a terminal both are the same screen, which the status line must know of.
    if (this.#bars !== undefined) this.#bars.log(line);
    else process[stream].write(line);
  }

  #paint(color: (typeof COLORS)[number] | 'gray', text: string): string {
    return this.#isColored ? styleText(color, text) : text;
  }

  #elapsed(): string {
    const seconds = Math.round((performance.now() - this.#begun) / 1000);
    if (seconds < 60) return `${seconds} s`;
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
}

/** A sign and a word for the state of a process. */
function markOf({ state, exitCode }: LaunchedProcess): [sign: string, word: string] {
  if (state === 'running') return ['●', 'running'];
  if (state === 'waiting') return ['↻', 'to be restarted'];
  if (state === 'starting') return ['○', 'starting'];
  return exitCode === 0 ? ['✓', 'done'] : ['✗', 'failed'];
}

function describeJob(processes: readonly LaunchedProcess[], urls: readonly string[]): string {
  const count = (role: string): string => {
    const { length } = processes.filter((each) => each.role === role);
    return `${length} ${length === 1 ? role : `${role}s`}`;
  };
  const shown = urls.length > 4 ? `${urls.slice(0, 4).join(', ')}, …` : urls.join(', ');
  return `${count('server')}, ${count('worker')}; servers at ${shown}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
