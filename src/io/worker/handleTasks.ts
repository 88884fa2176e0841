/** The generic tasks that a worker handles: one `TaskRunner` at a time, and what ends it. */
import { PsError } from '../../core/base/errors.js';
import type { WorkerObservation } from '../../core/worker/events.js';
import {
  checkTasksOptions,
  type TaskHandler,
  TaskRunner,
  type TasksOptions,
  type TasksSummary,
} from './taskRunner.js';
import type { WorkerHost } from './workerHost.js';
import type { CheckedWorkerOptions } from './workerOptions.js';

/** Generic tasks of one worker. */
export class TaskHandling {
  readonly #host: WorkerHost;
  readonly #options: Pick<CheckedWorkerOptions, 'limits' | 'maxStepMs'>;
  #runner: Pick<TaskRunner<unknown, unknown>, 'end' | 'onRevoked'> | undefined;

  constructor(host: WorkerHost, options: Pick<CheckedWorkerOptions, 'limits' | 'maxStepMs'>) {
    this.#host = host;
    this.#options = options;
  }

  /** Handles tasks until it is ended. Throws `PS_INVALID_ARGUMENT`. */
  async run<I, R>(handler: TaskHandler<I, R>, options: TasksOptions): Promise<TasksSummary> {
    checkTasksOptions(handler, options);
    if (this.#runner !== undefined) {
      throw new PsError(
        'PS_INVALID_ARGUMENT',
        'tasks: this worker handles tasks already: one handler at a time',
      );
    }
    const { signal, concurrency = 1 } = options;
    const { limits, maxStepMs } = this.#options;
    const bounds = { maxBytes: limits.maxTaskBytes, maxStepMs };
    const runner = new TaskRunner(this.#host, handler, concurrency, bounds);
    this.#runner = runner as never;
    const onAbort = (): void => runner.end();
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort);
    try {
      return await runner.finished;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#runner = undefined;
    }
  }

  onObservation(observation: WorkerObservation): void {
    if (observation.kind === 'revoked') this.#runner?.onRevoked(observation.leases);
    else if (observation.kind === 'finish') this.#runner?.end();
    else if (observation.kind === 'closed') this.#runner?.end(observation.error);
  }
}
