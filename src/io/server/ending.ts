/**
 * The end that a server does not choose: its core or a transport threw, a bug of ours. Whoever waits for
 * something of the core then hears of it, since nothing else of it will ever come.
 */
import type { PsError } from '../../core/base/errors.js';

/** Begins what a promise is of. */
export type Begin<T> = (resolve: (value: T) => void, reject: (error: Error) => void) => void;

/** Whether a core has stopped for good, and who is to be told. */
export class Ending {
  #failure: PsError | undefined;
  readonly #onFailure = new Set<(error: PsError) => void>();

  /** Why it has stopped; undefined: it has not. */
  get failure(): PsError | undefined {
    return this.#failure;
  }

  /** It stops now: everything that was promised and has not come rejects with `error`. */
  fail(error: PsError): void {
    this.#failure = error;
    for (const tell of this.#onFailure) tell(error);
    this.#onFailure.clear();
  }

  /** What `begin` promises of the core; rejects when that stops, and at once if it has. */
  promise<T>(begin: Begin<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#onFailure.add(reject);
      const forget = (): boolean => this.#onFailure.delete(reject);
      begin(
        (value) => {
          forget();
          resolve(value);
        },
        (error) => {
          forget();
          reject(error);
        },
      );
    });
  }
}
