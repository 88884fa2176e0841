import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PlantedProject, plantProject } from './planted.js';

// The size check: 350 lines a file; 60 lines a function as a warning, 80 as a failure.

let project: PlantedProject;

beforeAll(() => {
  project = plantProject();
});

afterAll(() => project.remove());

const functionOf = (lines: number): string => `export function f() {\n${'  g();\n'.repeat(lines - 2)}}\n`;
const check = (texts: Readonly<Record<string, string>>): { status: number; output: string } => {
  for (const [name, text] of Object.entries(texts)) project.write(`src/core/base/${name}.ts`, text);
  return project.runScript('scripts/checkSizes.mjs', ['src']);
};

test('passes files up to 350 lines and functions up to 80, with a warning from 61', () => {
  const { status, output } = check({
    file350: '// line\n'.repeat(350),
    function60: functionOf(60),
    function61: functionOf(61),
    function80: functionOf(80),
  });
  expect(status).toBe(0);
  expect(output).not.toContain('function60');
  expect(output).toContain('warning: src/core/base/function61.ts:1 f has 61 lines');
  expect(output).toContain('largest file: src/core/base/file350.ts, 350 lines');
});

test('fails a file of 351 lines and a function of 81', () => {
  const { status, output } = check({ file351: '// line\n'.repeat(351), function81: functionOf(81) });
  expect(status).toBe(1);
  expect(output).toContain('src/core/base/file351.ts has 351 lines, at most 350');
  expect(output).toMatch(/^src\/core\/base\/function81\.ts:1 f has 81 lines, at most 80$/m);
});
