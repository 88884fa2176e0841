/** A worker for a local copy to ask, which knows when the copy has taken in what it was given: then it asks for more. */
import type { CopiedFrom } from '../../../src/io/worker/localCopy.js';
import type { RowChanges } from '../../../src/io/worker/watchRows.js';

/** Hands on what a copy asks of `worker`. */
export class AskedWorker implements CopiedFrom {
  readonly readOnly = true;
  readonly #worker: CopiedFrom;
  readonly #waiting: (() => void)[] = [];

  constructor(worker: CopiedFrom) {
    this.#worker = worker;
  }

  async *watch(...asked: Parameters<CopiedFrom['watch']>): ReturnType<CopiedFrom['watch']> {
    for await (const values of this.#worker.watch(...asked)) {
      yield values;
      this.#onAsked();
    }
  }

  async *watchRows(
    ...asked: Parameters<CopiedFrom['watchRows']>
  ): AsyncGenerator<RowChanges, void, undefined> {
    for await (const changes of this.#worker.watchRows(...asked)) {
      yield changes;
      this.#onAsked();
    }
  }

  /** Resolves when `isSo`; looked at now, and each time the copy has taken something in. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #onAsked(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
