import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PlantedProject, plantProject } from './planted.js';

// The purity check must find each kind of impurity, and must not mistake names for globals.

const impure: Readonly<Record<string, string>> = {
  async: 'export async function f() {}',
  await: 'export const f = async () => { for await (const x of []) x; };',
  Promise: 'export const f = () => Promise.resolve(1);',
  'Promise as a type': 'export let f: Promise<number> | undefined;',
  setTimeout: 'export const f = () => setTimeout(() => {}, 1);',
  setImmediate: 'export const f = () => setImmediate(() => {});',
  queueMicrotask: 'export const f = () => queueMicrotask(() => {});',
  Date: 'export const f = () => Date.now();',
  'new Date': 'export const f = () => new Date();',
  performance: 'export const f = () => performance.now();',
  'Math.random': 'export const f = () => Math.random();',
  'Math taken apart': 'export const { random } = Math;',
  'Math renamed': 'const { abs, random: r } = Math; export const f = () => abs(r());',
  'Math in a variable': 'const m = Math; export const f = () => m;',
  'Math by key': "export const f = () => Math['random']();",
  console: "export const f = () => console.log('x');",
  process: 'export const f = () => process.env.X;',
  globalThis: 'export const f = () => globalThis.setTimeout;',
  Buffer: 'export const f = () => Buffer.alloc(1);',
  'import()': "export const f = () => import('./g.js');",
  'import.meta': 'export const f = () => import.meta.url;',
  localeCompare: 'export const f = (a: string, b: string) => a.localeCompare(b);',
};

/** Allowed in core at large, forbidden in kernels and optimizers. */
const inexact: Readonly<Record<string, string>> = {
  'Math.pow': 'export const f = (x: number) => Math.pow(x, 2);',
  'Math.exp': 'export const f = (x: number) => Math.exp(x);',
  '**': 'export const f = (x: number) => x ** 2;',
  'Math.log': 'const { log } = Math; export const f = (x: number) => log(x);',
};

const PURE = `
  const { fround, sqrt: root } = Math;
  export const half = fround(root(0.25));
  // Date, Promise, setTimeout in a comment.
  export interface Timer { process(now: number): void; performance: number; Date?: string }
  export const text = 'await new Promise(setTimeout)';
  export function slide(window: number, module: { name: string }): number {
    return window + module.name.length + Math.sqrt(2) + Math.LN2 + 2 ** 32 + 2 ** -126;
  }
  export const dateOf = (ms: number): Date => new Date(ms);
  export class Box { console = 1; read(): number { return this.console; } }
`;

describe('the purity check', () => {
  let project: PlantedProject;

  beforeAll(() => {
    project = plantProject();
  });

  afterAll(() => project.remove());

  const check = (files: Readonly<Record<string, string>>): { status: number; output: string } => {
    for (const [path, text] of Object.entries(files)) project.write(path, text);
    return project.runScript('scripts/checkPurity.mjs', ['src/core']);
  };
  const pathsOf = (folder: string, texts: readonly string[]): Record<string, string> =>
    Object.fromEntries(texts.map((text, index) => [`src/core/${folder}/file${index}.ts`, text]));

  test('passes what only looks impure, and inexact Math outside kernels and optimizers', () => {
    const { status, output } = check({
      'src/core/optim/pure.ts': PURE,
      ...pathsOf('base', Object.values(inexact)),
    });
    expect(output).not.toContain(' uses ');
    expect(status).toBe(0);
  });

  test('finds every kind of impurity, and in optim and kernels Math that differs between engines', () => {
    const { status, output } = check({
      ...pathsOf('table', Object.values(impure)),
      ...pathsOf('optim', Object.values(inexact)),
      ...pathsOf('kernels', Object.values(inexact)),
    });
    for (const [index, kind] of Object.keys(impure).entries()) {
      expect(output, kind).toContain(`table/file${index}.ts:1 uses`);
    }
    for (const [index, kind] of Object.keys(inexact).entries()) {
      expect(output).toContain(`optim/file${index}.ts:1 uses ${kind} (engines differ)`);
      expect(output).toContain(`kernels/file${index}.ts:1 uses ${kind} (engines differ)`);
    }
    expect(status).toBe(1);
  });
});
