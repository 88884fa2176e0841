/** How good predictions are: their loss and their order, over the last of them. */
import { logLoss } from './model.js';

/** Predictions over which a score is taken. */
const WINDOW = 8_000;

/** A score of the last predictions of one model. */
export interface Score {
  /** Mean logarithmic loss, in nats. */
  readonly logLoss: number;
  /** The probability that a click was given a higher one than no click (the area under the ROC curve). */
  readonly auc: number;
}

/** The predictions of one model. Each was made before its outcome was known, and is scored once. */
export class Scores {
  readonly #predictions = new Float64Array(WINDOW);
  readonly #clicks = new Uint8Array(WINDOW);
  #count = 0;

  add(p: number, clicked: boolean): void {
    const at = this.#count++ % WINDOW;
    this.#predictions[at] = p;
    this.#clicks[at] = Number(clicked);
  }

  /** O(n log n). NaN while there is nothing to score. */
  get last(): Score {
    const count = Math.min(this.#count, WINDOW);
    const order = Array.from({ length: count }, (_, i) => i);
    order.sort((a, b) => this.#p(a) - this.#p(b));
    let loss = 0;
    let ranks = 0;
    let clicks = 0;
    for (let i = 0; i < count; ) {
      // Equal predictions share their mean rank.
      let end = i;
      while (end < count && this.#p(order[end] as number) === this.#p(order[i] as number)) end++;
      for (let k = i; k < end; k++) {
        const clicked = this.#clicks[order[k] as number] === 1;
        loss += logLoss(this.#p(order[k] as number), clicked);
        if (!clicked) continue;
        clicks++;
        ranks += (i + end + 1) / 2;
      }
      i = end;
    }
    const pairs = clicks * (count - clicks);
    return { logLoss: loss / count, auc: (ranks - (clicks * (clicks + 1)) / 2) / pairs };
  }

  #p(at: number): number {
    return this.#predictions[at] as number;
  }
}
