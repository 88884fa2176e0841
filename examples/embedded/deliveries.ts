/**
 * Deliveries for the example: made up, one after another, as a day's work would bring them in.
 * Behind them is a rule, 8 minutes + 3.5 a kilometre + 0.75 an item, that the model is to find.
 */
import { setTimeout } from 'node:timers/promises';

export interface Order {
  readonly kilometres: number;
  readonly items: number;
}

export interface Delivery extends Order {
  /** How long it took. */
  readonly minutes: number;
}

/** What a delivery takes but for chance. */
export function usualMinutes({ kilometres, items }: Order): number {
  return 8 + 3.5 * kilometres + 0.75 * items;
}

/** Batches of finished deliveries without end, one every so often; the same ones in every run. */
export async function* finishedDeliveries(options: {
  batchSize: number;
  /** Milliseconds between batches; 0: as fast as they are asked for. */
  everyMs: number;
}): AsyncGenerator<Delivery[]> {
  const { batchSize, everyMs } = options;
  for (let first = 0; ; first += batchSize) {
    if (everyMs > 0) await setTimeout(everyMs);
    yield Array.from({ length: batchSize }, (_, i) => delivery(first + i));
  }
}

/** The fractions of multiples of irrational numbers are spread evenly: enough for made-up data. */
function delivery(number: number): Delivery {
  const kilometres = 10 * ((number * Math.SQRT2) % 1);
  const items = Math.floor(12 * ((number * Math.sqrt(3)) % 1));
  const luck = 2 * ((number * Math.sqrt(5)) % 1) - 1;
  return { kilometres, items, minutes: usualMinutes({ kilometres, items }) + luck };
}
