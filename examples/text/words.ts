/** The texts of this example, and what is counted in them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Words that the bigram model knows, the most frequent ones; number 0 stands for all others. */
export const VOCABULARY = 256;

/** All pages below docs/, in the order of their names. */
export function loadPages(): string[] {
  const folder = new URL('../../docs/', import.meta.url);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.md'),
  );
  return names.sort().map((name) => readFileSync(new URL(name, folder), 'utf8'));
}

/** The words of a text, in small letters; those of one letter are none. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z]{2,}/g) ?? [];
}

/** How often each word stands in a text. */
export function countWords(text: string): Record<string, number> {
  const counts: Record<string, number> = Object.create(null);
  for (const word of wordsOf(text)) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** Adds the counts `more` to `sum`. */
export function addCounts(sum: Map<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [word, count] of Object.entries(more)) sum.set(word, (sum.get(word) ?? 0) + count);
}

/** The words that the model knows, by their numbers. */
export function vocabularyOf(counts: ReadonlyMap<string, number>): string[] {
  const byCount = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return ['…', ...byCount.slice(0, VOCABULARY - 1).map(([word]) => word)];
}

/** The numbers of the words of a text. */
export function numbersOf(text: string, vocabulary: readonly string[]): Uint16Array {
  const numbers = new Map(vocabulary.map((word, number) => [word, number]));
  return Uint16Array.from(wordsOf(text), (word) => numbers.get(word) ?? 0);
}

/** Adds to `counts`, a row of VOCABULARY for each word, `amount` for each word that follows another in `text`. */
export function addBigrams(counts: Float32Array, text: ArrayLike<number>, amount: number): void {
  for (let i = 1; i < text.length; i++) {
    const at = (text[i - 1] as number) * VOCABULARY + (text[i] as number);
    counts[at] = (counts[at] as number) + amount;
  }
}
