/**
 * The world that the model learns from, which only the load generator knows: users with tastes, ads that come into fashion and
 * go out of it, and sites. A click is drawn with the probability that it gives. Time is counted in impressions, so a
 * run is the same however fast it is.
 */
const USERS = 300;
const ADS = 50;
const SITES = 20;
/** Impressions from one height of an ad's fashion to the next, more or less. */
const TURN = 40_000;

/** One impression, as a site asks for it, and what really is the case. */
export interface Impression {
  readonly features: readonly string[];
  /** The true probability of a click. */
  readonly probability: number;
  readonly clicked: boolean;
}

/** Impressions, one after the other, from a seed. */
export function* impressions(seed: number): Generator<Impression, never, undefined> {
  const random = generator(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const tastes = Array.from({ length: USERS }, () => [normal(), normal(), 0.5 * normal()] as const);
  const ads = Array.from({ length: ADS }, () => ({
    appeal: 0.4 * normal(),
    angle: 2 * Math.PI * random(),
    phase: 2 * Math.PI * random(),
    turns: (random() < 0.5 ? -1 : 1) * (0.5 + random()),
  }));
  const sites = Array.from({ length: SITES }, () => 0.4 * normal());
  for (let t = 0; ; t++) {
    // Few users and ads have most of the traffic.
    const user = Math.floor(USERS * random() ** 2);
    const ad = Math.floor(ADS * random() ** 1.5);
    const site = Math.floor(SITES * random());
    const [x, y, activity] = tastes[user] as (typeof tastes)[number];
    const { appeal, angle, phase, turns } = ads[ad] as (typeof ads)[number];
    const fashion = Math.sin(phase + (2 * Math.PI * turns * t) / TURN);
    const taste = x * Math.cos(angle) + y * Math.sin(angle);
    const logit = -1.3 + 0.6 * activity + appeal + (sites[site] as number) + 1.3 * fashion + 0.9 * taste;
    const probability = 1 / (1 + Math.exp(-logit));
    yield {
      features: [`user=${user}`, `ad=${ad}`, `site=${site}`],
      probability,
      clicked: random() < probability,
    };
  }
}

/** Numbers in [0, 1) (mulberry32, T. Ettinger). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}
