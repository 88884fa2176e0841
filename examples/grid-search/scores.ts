/** The results of a search: for each combination the scores of its seeds; as a table, best mean first. */
import type { TrainingSettings } from '../digits/plainTraining.js';

interface Row {
  readonly learningRate: number;
  readonly batchSize: number;
  readonly scores: number[];
  failures: number;
}

/** Scores by combination. */
export class Scores {
  readonly #rows = new Map<string, Row>();

  add(settings: TrainingSettings, score: number): void {
    this.#row(settings).scores.push(score);
  }

  addFailure(settings: TrainingSettings): void {
    this.#row(settings).failures++;
  }

  table(): string {
    const rows = [...this.#rows.values()].sort((a, b) => meanOf(b.scores) - meanOf(a.scores));
    const lines = rows.map(({ learningRate, batchSize, scores, failures }) => {
      const [lowest, highest] =
        scores.length === 0 ? ['–', '–'] : [Math.min(...scores), Math.max(...scores)].map(text);
      const mean = scores.length === 0 ? '–' : text(meanOf(scores));
      return [`${learningRate}`, `${batchSize}`, mean, lowest, highest, `${failures}`];
    });
    const table = [['rate', 'batch', 'mean', 'lowest', 'highest', 'failed'], ...lines];
    return table.map((cells) => cells.map((cell) => (cell ?? '').padStart(8)).join('')).join('\n');
  }

  #row({ learningRate, batchSize }: TrainingSettings): Row {
    const key = `${learningRate}/${batchSize}`;
    const row = this.#rows.get(key) ?? { learningRate, batchSize, scores: [], failures: 0 };
    this.#rows.set(key, row);
    return row;
  }
}

function meanOf(scores: readonly number[]): number {
  return scores.length === 0 ? -1 : scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

function text(score: number): string {
  return score.toFixed(3);
}
