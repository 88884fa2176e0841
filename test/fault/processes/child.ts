/** Child processes that talk over IPC: started, awaited by message, killed by their own id. */
import { type ChildProcess, fork } from 'node:child_process';

/** What a child says; `kind` names it. */
export type Said = { kind: string } & Record<string, unknown>;

/** One child process running a TypeScript file of this folder. */
export class Child {
  readonly process: ChildProcess;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  readonly last = new Map<string, Said>();
  readonly #waiting: {
    kind: string;
    count: number;
    resolve: (said: Said) => void;
    reject: (error: Error) => void;
  }[] = [];

  /** `within`: a command that runs the one behind it, somewhere else for instance. */
  constructor(file: string, args: readonly (string | number)[], within: readonly string[] = []) {
    const [program = process.execPath, ...before] = [...within, process.execPath];
    this.process = fork(new URL(file, import.meta.url), args.map(String), {
      execPath: program,
      execArgv: [...before, '--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.process.on('message', (said: Said) => this.#hear(said));
    this.ended = new Promise((resolve) => {
      this.process.once('exit', (code, signal) => {
        for (const { kind, reject } of this.#waiting.splice(0)) {
          reject(new Error(`${file} ended (${code ?? signal}) before it said ${kind}`));
        }
        resolve();
      });
    });
  }

  /** The `count`-th message of a kind from now on. Rejects when the process ends first. */
  next(kind: string, count = 1): Promise<Said> {
    return new Promise((resolve, reject) => this.#waiting.push({ kind, count, resolve, reject }));
  }

  tell(kind: string): void {
    this.process.send({ kind });
  }

  /** Sends a signal; SIGKILL is awaited. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.process.kill(signal);
    if (signal === 'SIGKILL') await this.ended;
  }

  #hear(said: Said): void {
    this.last.set(said.kind, said);
    for (const each of [...this.#waiting]) {
      if (each.kind !== said.kind || --each.count > 0) continue;
      this.#waiting.splice(this.#waiting.indexOf(each), 1);
      each.resolve(said);
    }
  }
}
