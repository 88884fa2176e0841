import { afterEach, beforeEach, expect, test } from 'vitest';
import { type PlantedProject, plantProject } from './planted.js';

// The size check: 350 lines a file; 60 lines a function as a warning, 80 as a failure.

let project: PlantedProject;

beforeEach(() => {
  project = plantProject();
});

afterEach(() => project.remove());

const functionOf = (lines: number): string => `export function f() {\n${'  g();\n'.repeat(lines - 2)}}\n`;
const check = (text: string): { status: number; output: string } => {
  project.write('src/core/base/sized.ts', text);
  return project.runScript('scripts/checkSizes.mjs', ['src']);
};

test('a file of 350 lines passes and one of 351 fails', () => {
  expect(check('// line\n'.repeat(350)).status).toBe(0);
  const { status, output } = check('// line\n'.repeat(351));
  expect(status).toBe(1);
  expect(output).toMatch(/sized\.ts has 351 lines, at most 350/);
});

test('a function of 60 lines passes in silence, 61 warns, 81 fails', () => {
  expect(check(functionOf(60)).output).not.toContain('has');
  const warned = check(functionOf(61));
  expect(warned.output).toContain('warning: src/core/base/sized.ts:1 f has 61 lines');
  expect(warned.status).toBe(0);
  expect(check(functionOf(80)).status).toBe(0);
  expect(check(functionOf(81)).status).toBe(1);
});
