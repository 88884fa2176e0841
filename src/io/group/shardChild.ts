/** The process of one shard, as its group sees it: started, asked, and gone. */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PsError } from '../../core/base/errors.js';
import type { ParameterServerEvents } from '../server/serverEvents.js';
import { errorOfImage, type FromShard, type ShardCalls, type ToShard } from './shardMessages.js';

/**
 * A program, not a module of this one: it stands higher, with the server that users get. With the suffix that this file
 * has: sources run where the process can load them.
 */
const PROGRAM = new URL(`../../ops/shardProcess${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
/** Flags of this process that a child can't have too, and whether a value follows. */
const OWN_FLAGS =
  /^(--inspect|--eval$|-e$|--print$|-p$|-pe$|--input-type|--test|--watch|--check$|-c$|--cpu-prof)/;
const WITH_VALUE = new Set(['--eval', '-e', '--print', '-p', '-pe']);

/** What a shard tells of itself. */
export interface ShardListener {
  event(name: keyof ParameterServerEvents, args: readonly unknown[]): void;
  /** Its process has ended though nobody closed it. */
  died(error: PsError): void;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: PsError): void;
  readonly onPiece: ((offset: number, values: Float32Array) => void) | undefined;
}

/** One shard's process. */
export class ShardChild {
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #failure: PsError | undefined;
  #isClosing = false;

  constructor(index: number, listener: ShardListener) {
    this.#process = fork(PROGRAM, [], {
      execArgv: childFlags(process.execArgv),
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#process.on('message', (message: FromShard) => this.#hear(message, listener));
    this.#ended = new Promise((resolve) => {
      const end = (why: string): void => {
        const error = new PsError('PS_INTERNAL', `the process of shard ${index} has ended: ${why}`);
        this.#failure ??= error;
        for (const { reject } of this.#pending.values()) reject(error);
        this.#pending.clear();
        if (!this.#isClosing) listener.died(error);
        resolve();
      };
      this.#process.once('error', (error) => end(error.message));
      this.#process.once('exit', (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  /** Asks for something; `onPiece` takes the arrays that come with the answer. */
  call<Name extends keyof ShardCalls>(
    name: Name,
    args: Parameters<ShardCalls[Name]>,
    onPiece?: (offset: number, values: Float32Array) => void,
    pieces: Iterable<{ readonly offset: number; readonly values: Float32Array }> = [],
  ): Promise<ReturnType<ShardCalls[Name]>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = ++this.#lastId;
    return new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onPiece });
      const begin = async (): Promise<void> => {
        for (const piece of pieces) await this.#send({ kind: 'piece', id, ...piece });
        await this.#send({ kind: 'call', id, name, args });
      };
      void begin();
    }) as Promise<ReturnType<ShardCalls[Name]>>;
  }

  /** Closes the server and ends the process, by force if it takes longer than `timeoutMs`. Never rejects. */
  async end(options: { timeoutMs?: number }, timeoutMs: number): Promise<void> {
    this.#isClosing = true;
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), timeoutMs);
    await this.call('close', [options]).catch(() => {});
    if (this.#process.connected) this.#process.disconnect();
    await this.#ended;
    clearTimeout(timer);
  }

  /** Resolves when the channel has taken `message`, or is gone. */
  #send(message: ToShard): Promise<void> {
    return new Promise((resolve) => {
      if (this.#process.connected) this.#process.send(message, undefined, undefined, () => resolve());
      else resolve();
    });
  }

  #hear(message: FromShard, listener: ShardListener): void {
    if (message.kind === 'event') {
      listener.event(message.name, message.args);
      return;
    }
    const pending = this.#pending.get(message.id);
    if (message.kind === 'piece') {
      pending?.onPiece?.(message.offset, message.values);
      return;
    }
    this.#pending.delete(message.id);
    if (message.kind === 'value') pending?.resolve(message.value);
    else pending?.reject(errorOfImage(message.error));
  }
}

/** The flags of `flags` that make sense for a child: loaders, limits, conditions. */
function childFlags(flags: readonly string[]): string[] {
  return flags.filter((flag, i) => !OWN_FLAGS.test(flag) && !WITH_VALUE.has(flags[i - 1] ?? ''));
}
