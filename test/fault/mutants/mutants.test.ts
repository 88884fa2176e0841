/**
 * Every planted bug is found by the simulator. `PSLIB_MUTANT_SEEDS` says in how many schedules each is looked for;
 * `docs/reliability.md` has the table of after how many they were found, which
 * `PSLIB_MUTANT_TABLE=1 npx vitest run test/fault/mutants` prints anew.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.js';
import { PatchedBuild } from './patchedBuild.js';

const SEEDS = Number(process.env.PSLIB_MUTANT_SEEDS ?? 1_500);

describe('planted bugs', () => {
  let build: PatchedBuild;
  const rows: string[] = [];
  beforeAll(() => {
    build = new PatchedBuild();
  });
  afterAll(() => {
    build.dispose();
    if (process.env.PSLIB_MUTANT_TABLE !== undefined) console.log(rows.sort().join('\n'));
  });

  it('are at least twelve, each with a name of its own', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(12);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  it.concurrent.each(MUTANTS)('$name', { timeout: 300_000 }, async (mutant) => {
    const { foundAfter, rule } = await build.search(mutant, SEEDS);
    rows.push(`| ${mutant.bug} | ${foundAfter ?? 'not found'} | ${rule} |`);
    expect(foundAfter, `${mutant.bug}: not found in ${SEEDS} schedules`).toBeDefined();
  });
});
