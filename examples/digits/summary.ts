/** Mean and spread of the accuracies of several seeds, in one line. */

/** For example `mean 0.972, standard deviation 0.004, lowest 0.961, highest 0.981 (20 seeds)`. */
export function summaryOf(accuracies: readonly number[]): string {
  const count = accuracies.length;
  const mean = accuracies.reduce((sum, each) => sum + each, 0) / count;
  const squares = accuracies.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / Math.max(1, count - 1));
  const parts = [
    `mean ${mean.toFixed(4)}`,
    `standard deviation ${deviation.toFixed(4)}`,
    `lowest ${Math.min(...accuracies).toFixed(3)}`,
    `highest ${Math.max(...accuracies).toFixed(3)}`,
  ];
  return `${parts.join(', ')} (${count} seeds)`;
}
