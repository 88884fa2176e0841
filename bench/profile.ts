/**
 * Reads the CPU profiles that `--profile-server DIR` and `--profile-workers DIR` write: the functions that
 * the processes were in, by their share of the busy time.
 *
 *     npx tsx bench/profile.ts DIR [rows]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

/** The part of a profile that is looked at: before it the process starts, after it the result is checked. */
const FROM = 0.45;
const TO = 0.92;

/** Prints one table per profile of a folder. */
function print(folder: string, rows: number): void {
  for (const name of readdirSync(folder)) {
    const { busyMs, idleMs, byPlace } = shares(
      JSON.parse(readFileSync(join(folder, name), 'utf8')) as Profile,
    );
    console.log(`${name}: busy ${busyMs.toFixed(0)} ms, idle ${idleMs.toFixed(0)} ms`);
    const sorted = [...byPlace].sort((a, b) => b[1] - a[1]).slice(0, rows);
    for (const [place, ms] of sorted)
      console.log(`${((100 * ms) / busyMs).toFixed(1).padStart(6)} %  ${place}`);
  }
}

function shares({ nodes, samples, timeDeltas }: Profile): {
  busyMs: number;
  idleMs: number;
  byPlace: Map<string, number>;
} {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const byPlace = new Map<string, number>();
  let busyMs = 0;
  let idleMs = 0;
  for (let k = Math.floor(samples.length * FROM); k < samples.length * TO; k++) {
    const place = places.get(samples[k] as number) ?? '';
    const ms = (timeDeltas[k] as number) / 1e3;
    if (place === '(idle)') {
      idleMs += ms;
      continue;
    }
    busyMs += ms;
    byPlace.set(place, (byPlace.get(place) ?? 0) + ms);
  }
  return { busyMs, idleMs, byPlace };
}

function placeOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName;
  const file = url.replace(/^.*\/(node_modules|dist|reports\/bench)\//, '');
  return `${functionName || 'anonymous'} ${file}:${lineNumber + 1}`;
}

print(process.argv[2] ?? '.', Number(process.argv[3] ?? 25));
