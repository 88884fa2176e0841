/**
 * Scenarios as transcripts: each `.txt` here is a few lines that say what happens, and below `----` all that
 * follows from it, line by line. `npx vitest run test/scenarios -u` writes the lower parts anew: commit a change only
 * if you can explain each line of its diff.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runScenario } from '../../src/testing/scenario/runScenario.js';

const RULE = '----\n';
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'));

describe('scenarios', () => {
  it.each(files)('%s', async (file) => {
    const path = join(import.meta.dirname, file);
    const [script = ''] = readFileSync(path, 'utf8').split(RULE);
    expect(script).toMatch(/^# /);
    await expect(`${script}${RULE}${runScenario(script).join('\n')}\n`).toMatchFileSnapshot(path);
  });

  it('there are some, and a wrong line is named', () => {
    expect(files.length).toBeGreaterThan(14);
    for (const [line, text] of [
      [1, 'worker a: many clocks'],
      [2, 'server: bsp\nat noon: reset a'],
      [1, 'at 3 ms: reset'],
      [1, 'worker a: 3 clocks of 10 ms, runs'],
      [1, 'server: dsp(3)'],
    ] as const)
      expect(() => runScenario(text), text).toThrow(
        expect.objectContaining({ details: { option: `line ${line}` } }),
      );
  });
});
