/** What the owner of a server does to its core: changes in their turn among the updates, and commands at once. */
import type { PsError } from '../../core/base/errors.js';
import type { CoreContext } from '../../core/server/context.js';
import { evict, forgetSessions } from '../../core/server/eviction.js';
import type { JournalRecord } from '../../core/server/records.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import { type Job, JobThen } from '../../core/table/job.js';
import { monotonicNow } from '../time.js';
import type { CoreRunner } from './coreRunner.js';

/** A record, or what makes one when its turn has come. */
export type Decision = JournalRecord | ((context: CoreContext) => JournalRecord);

/** Gives commands to one core. */
export class Commands {
  readonly #runner: CoreRunner;

  constructor(runner: CoreRunner) {
    this.#runner = runner;
  }

  /** Calls `tell` when the core has stopped for good, by a fault of its own. */
  whenFailed(tell: (error: PsError) => void): void {
    this.#runner.promise(() => {}).catch(tell);
  }

  /** Runs `change` when all updates before it are done. */
  change(change: (context: CoreContext) => Job | undefined): void {
    this.#runner.run((core) => core.change(change, monotonicNow()));
  }

  /** Runs `action` at once. */
  command(action: Parameters<ServerCore['command']>[0]): void {
    this.#runner.run((core) => core.command(action, monotonicNow()));
  }

  /** Evicts the worker, and the readers, called `id`; resolves to whether there was one, when that is committed. */
  evict(id: string, reason: string): Promise<boolean> {
    return this.#runner.promise((resolve, reject) => {
      this.command((context, { membership }) => {
        const found = evict(context, membership, id, reason);
        const { commits } = context;
        commits.whenCommitted(commits.last, () => resolve(found), reject);
      });
    });
  }

  /** The state is another one: every worker's session ends. Resolves when that is committed. */
  forgetSessions(): Promise<void> {
    return this.#runner.promise((resolve, reject) => {
      this.command((context, { membership }) => {
        forgetSessions(context, membership);
        const { commits } = context;
        commits.whenCommitted(commits.last, () => resolve(), reject);
      });
    });
  }

  /** Records a change of settings in its turn, and resolves when it is carried out and committed. */
  async record(decision: Decision): Promise<void> {
    await this.#runner.promise<void>((resolve, reject) => {
      this.change((context) => {
        try {
          context.commits.checkRoom(0);
          const record = typeof decision === 'function' ? decision(context) : decision;
          const job = context.state.apply(record, context.now);
          return new JobThen(job, () => {
            context.isDirty = true;
            context.commits.whenCommitted(context.commits.append(record), resolve, reject);
          });
        } catch (error) {
          reject(error as Error);
          return undefined;
        }
      });
    });
  }
}
