/**
 * Which new ids may have a row: those seen at least `admitAfter` times, so that ids which come once or twice take no
 * memory. Counts are estimates that are never too low for recent ids: a count-min sketch (Cormode & Muthukrishnan
 * 2005) with conservative update (Estan & Varghese 2002), halved from time to time so that it does not fill up
 * (Einziger, Friedman & Manes 2017). Its size is fixed. Deterministic, so that a replay admits the same ids.
 */

/** Counters of each of the two lines. */
const WIDTH = 1 << 19;
/** Counters of both lines. */
export const ADMISSION_COUNTERS: number = 2 * WIDTH;
/** After so many sightings all counts are halved. */
const HALVE_AFTER = 8 * WIDTH;

/** Counts ids that have no row. */
export class RowAdmission {
  /** Sightings that an id needs. */
  readonly admitAfter: number;
  /** Both lines of counters, saved and restored as they are. */
  readonly counters: Uint8Array = new Uint8Array(ADMISSION_COUNTERS);
  /** Sightings since the last halving. */
  sightings = 0;

  /** `admitAfter`: from 2 to 255. */
  constructor(admitAfter: number) {
    this.admitAfter = admitAfter;
  }

  /** The id was seen once more; returns whether it may have a row from now on. */
  see(low: number, high: number): boolean {
    const { counters } = this;
    const first = hashOf(low, high, 0x9e3779b1) & (WIDTH - 1);
    const second = WIDTH + (hashOf(low, high, 0x85ebca77) & (WIDTH - 1));
    const count = Math.min(counters[first] as number, counters[second] as number) + 1;
    if (count >= this.admitAfter) return true;
    if ((counters[first] as number) < count) counters[first] = count;
    if ((counters[second] as number) < count) counters[second] = count;
    this.sightings++;
    if (this.sightings === HALVE_AFTER) this.#halve();
    return false;
  }

  #halve(): void {
    this.sightings = 0;
    for (let i = 0; i < this.counters.length; i++) this.counters[i] = (this.counters[i] as number) >>> 1;
  }
}

/** The finaliser of MurmurHash3 (Appleby) over both words, with a seed. */
function hashOf(low: number, high: number, seed: number): number {
  let hash = Math.imul(low ^ seed, 0xcc9e2d51) ^ Math.imul(high + seed, 0x1b873593);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
