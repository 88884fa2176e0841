/**
 * The version that a simulated worker's next push counts as computed from, kept here once more from what the worker was
 * told: that of its last pull of tensors, or of rows that it pulled since its last push, if that is older.
 */
import type { PulledFrom } from '../check/pushLedger.js';

/** What one process of a worker has pulled. */
export class PulledStamps {
  readonly #rollbacks: () => number;
  #known: number;
  #dense: PulledFrom | undefined;
  #rows: PulledFrom | undefined;

  /** `rollbacks`: how many the worker has been told of; what was pulled before one counts for nothing. */
  constructor(rollbacks: () => number) {
    this.#rollbacks = rollbacks;
    this.#known = rollbacks();
  }

  add(pulled: PulledFrom): void {
    this.#forget();
    this.#dense = pulled;
  }

  addRows(pulled: PulledFrom): void {
    this.#forget();
    this.#rows = older(this.#rows, pulled);
  }

  /** A push is made. Undefined: from nothing. */
  use(): PulledFrom | undefined {
    this.#forget();
    const from = this.#rows === undefined ? this.#dense : older(this.#dense, this.#rows);
    this.#rows = undefined;
    return from;
  }

  #forget(): void {
    if (this.#known === this.#rollbacks()) return;
    this.#known = this.#rollbacks();
    this.#dense = undefined;
    this.#rows = undefined;
  }
}

/** Of two lives of the server, the later pull counts. */
function older(known: PulledFrom | undefined, pulled: PulledFrom): PulledFrom {
  return known !== undefined && known.life === pulled.life && known.version < pulled.version ? known : pulled;
}
