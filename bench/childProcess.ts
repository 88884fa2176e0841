/**
 * A child process of the suite, seen from the driver: it answers commands in turn, its output of errors
 * is shown when it fails, and it ends when its standard input does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { type Answer, readLines } from './lines.js';

/** Longer than any command may take. */
const ANSWER_TIMEOUT_MS = 180_000;
const END_TIMEOUT_MS = 10_000;

/** Processes that run now, to be ended with the suite. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** One server or worker process. */
export class Child {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #ended: Promise<void>;
  readonly #answers: Answer[] = [];
  #errors = '';
  #failure: Error | undefined;
  #wake: () => void = () => {};

  /** Starts `words` as a program with its arguments. */
  constructor(name: string, words: readonly string[]) {
    this.#name = name;
    this.#process = spawn(words[0] as string, words.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(this.#process);
    const { stdin, stdout, stderr } = this.#process;
    stdin?.on('error', () => {});
    stderr?.on('data', (chunk: Buffer) => {
      this.#errors = `${this.#errors}${chunk}`.slice(-4000);
    });
    readLines(
      stdout as Readable,
      (line) => this.#receive(line),
      () => {},
    );
    this.#ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.#fail(error.message);
        resolve();
      });
      this.#process.once('close', (code, signal) => {
        running.delete(this.#process);
        this.#fail(`ended with ${signal ?? code}`);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  /** Sends a command; `next` waits for its answer. */
  send(command: string): void {
    this.#process.stdin?.write(`${command}\n`);
  }

  /** The next answer. Rejects when the process ends first, or nothing comes for minutes. */
  async next(): Promise<Answer> {
    const timer = setTimeout(() => this.#fail('does not answer'), ANSWER_TIMEOUT_MS);
    try {
      for (;;) {
        const answer = this.#answers.shift();
        if (answer !== undefined) return answer;
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a command and waits for its answer. */
  ask(command: string): Promise<Answer> {
    this.send(command);
    return this.next();
  }

  /** Ends the process. */
  async end(): Promise<void> {
    this.#process.stdin?.end();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_TIMEOUT_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #receive(line: string): void {
    try {
      this.#answers.push(JSON.parse(line) as Answer);
    } catch {
      this.#fail(`answered ${line}`);
    }
    this.#wake();
  }

  #fail(text: string): void {
    this.#failure ??= new Error(`${this.#name} ${text}${this.#errors === '' ? '' : `\n${this.#errors}`}`);
    this.#wake();
  }
}

/** Processor time that a process has used, in seconds, all threads; 0 where there is no /proc. */
export function cpuSecondsOf(pid: number): number {
  try {
    // After the name, which may hold anything but ends with the last parenthesis: user and system time are
    // the 14th and 15th field of all, in ticks of 10 ms on every Linux there is.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

/** Resident memory of a process in bytes: now, and at its highest; 0 where there is no /proc. */
export function memoryOf(pid: number): { nowBytes: number; peakBytes: number } {
  let status = '';
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    // Not Linux.
  }
  const bytes = (field: string): number => {
    return Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  };
  return { nowBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}
