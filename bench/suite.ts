/** What a benchmark of the suite is given, and how it turns outcomes into rows. */
import type { Arrangement, Ground, Outcome, Sample, Timing } from './driver.js';
import type { Peer } from './peer.js';
import type { Row } from './report.js';
import { spreadOf } from './statistics.js';

/** What a benchmark is given. */
export interface Context {
  readonly ground: Ground;
  readonly timing: Timing;
  /** Models to move, in bytes; undefined: those that the benchmark is about. */
  readonly sizes: readonly number[] | undefined;
  readonly workers: readonly number[] | undefined;
  /** Names of peers that were asked for; undefined: the benchmark's own. */
  readonly peers: readonly string[] | undefined;
  /** Parts of names of floods that were asked for; undefined: all. */
  readonly attacks: readonly string[] | undefined;
  /** Shorter and rougher. */
  readonly isQuick: boolean;
  /** A peer that can run here, or undefined and a note. */
  peer(name: string): Promise<Peer | undefined>;
  /** Takes the rows of a case when it is done. */
  report(rows: readonly Row[]): void;
}

/** One benchmark, by the name that `npm run bench -- <name>` takes. */
export interface Suite {
  readonly name: string;
  readonly about: string;
  run(context: Context): Promise<void>;
}

/** The peers called `names` that can run here, or those asked for. */
export async function availablePeers(context: Context, names: readonly string[]): Promise<Peer[]> {
  const peers = await Promise.all((context.peers ?? names).map((name) => context.peer(name)));
  return peers.filter((peer) => peer !== undefined);
}

/** What is compared in a table, and how its figures are read off. */
export interface Reading {
  readonly suite: string;
  readonly case: string;
  readonly unit: string;
  /** The figure of a sample. */
  readonly of: (sample: Sample) => number;
  /** Index of the row that the others are compared with. */
  readonly base?: number;
  readonly ratioTo?: string;
  readonly more?: (arrangement: Arrangement, samples: readonly Sample[]) => Record<string, number>;
}

/** One row per arrangement. Ratios are taken between samples of the same turn. */
export function rowsOf(
  reading: Reading,
  subjects: readonly string[],
  arrangements: readonly Arrangement[],
  outcomes: readonly Outcome[],
): Row[] {
  const base = reading.base === undefined ? undefined : outcomes[reading.base];
  const isComparable = base !== undefined && base.failure === undefined;
  return outcomes.map(({ samples, failure }, k) => {
    const { suite, unit } = reading;
    const row = { suite, case: reading.case, subject: subjects[k] as string, unit };
    if (failure !== undefined) return { ...row, isChecked: false, failure };
    const ratios = isComparable
      ? samples.map((each, turn) => reading.of(each) / reading.of(base.samples[turn] as Sample))
      : undefined;
    return {
      ...row,
      value: spreadOf(samples.map(reading.of)),
      ...(ratios !== undefined && { ratio: spreadOf(ratios) }),
      ...(ratios !== undefined && reading.ratioTo !== undefined && { ratioTo: reading.ratioTo }),
      ...(reading.more !== undefined && { more: reading.more(arrangements[k] as Arrangement, samples) }),
      isChecked: true,
    };
  });
}

/** The median of a figure over samples. */
export function medianOf(samples: readonly Sample[], of: (sample: Sample) => number): number {
  return spreadOf(samples.map(of)).median;
}

/** 4,096 → 4 KB: powers of 1,024. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB'];
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power]}`;
}

export const KIB = 1024;
export const MIB: number = KIB * KIB;
