/** Programs of the repository, run as their readers run them, with `pslib` being the sources. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));
/** A guard against hangs; each takes a few seconds. */
export const PATIENCE_MS = 90_000;

export type Program = ChildProcessByStdio<null, Readable, Readable>;

/** Starts a program of the repository, or one that imports `pslib` from elsewhere. */
export function start(file: string, ...args: string[]): Program {
  return spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** What a program prints until it ends, which must be in success. */
export async function outputOf(program: Program): Promise<string[]> {
  const [stdout, stderr, [code]] = await Promise.all([
    text(program.stdout),
    text(program.stderr),
    once(program, 'exit'),
  ]);
  expect(code, stdout + stderr).toBe(0);
  return stdout.trimEnd().split('\n');
}
