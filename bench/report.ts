/**
 * What the suite found, as rows: for people a table per case, for programs one JSON document with the
 * machine, the versions and the commit beside it.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import type { Spread } from './statistics.js';

/** One line of a table. */
export interface Row {
  readonly suite: string;
  /** What all rows of a table share, such as the size of the model. */
  readonly case: string;
  readonly subject: string;
  readonly unit: string;
  /** Absent where the subject failed. */
  readonly value?: Spread;
  /** Of `value` to that of the row that the case compares with, repetition by repetition. */
  readonly ratio?: Spread;
  readonly ratioTo?: string;
  /** Further figures, their units in their names. */
  readonly more?: Readonly<Record<string, number>>;
  /** The result was compared with what it must be. */
  readonly isChecked: boolean;
  readonly failure?: string;
}

/** The JSON document. */
export interface Report {
  readonly date: string;
  readonly commit: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly seconds: number;
  readonly rows: readonly Row[];
  readonly verdicts: readonly object[];
}

/** Everything about a run but what it found. */
export function headOf(settings: Report['settings']): Omit<Report, 'rows' | 'verdicts' | 'seconds'> {
  return {
    date: new Date().toISOString(),
    commit: commit(),
    machine: machine(),
    versions: versions(),
    settings,
  };
}

/** A table of the rows of one case. */
export function tableOf(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return '';
  const columns = [...new Set(rows.flatMap(({ more }) => Object.keys(more ?? {})))];
  const ratioTo = rows.find((row) => row.ratioTo !== undefined)?.ratioTo;
  const head = [
    '',
    first.unit,
    '(min to max)',
    ...(ratioTo === undefined ? [] : [`of ${ratioTo}`]),
    ...columns,
  ];
  const lines = rows.map(({ subject, value, ratio, more, failure }) => {
    if (value === undefined) return [subject, `FAILED: ${failure?.split('\n')[0]}`];
    const range = `(${figure(value.min)} to ${figure(value.max)})`;
    const ratios = ratioTo === undefined ? [] : [ratio === undefined ? '' : ratio.median.toFixed(2)];
    const others = columns.map((name) => (more?.[name] === undefined ? '' : figure(more[name])));
    return [subject, figure(value.median), range, ...ratios, ...others];
  });
  return `${first.suite}: ${first.case}\n${align([head, ...lines])}`;
}

/** Three significant digits, and all those before the point. */
export function figure(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return `${value}`;
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 4));
}

/** Lines of cells as columns; the first column to the left, the others to the right. */
export function align(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) {
    if (line.length <= 2 && line !== lines[0]) continue;
    line.forEach((cell, k) => {
      widths[k] = Math.max(widths[k] ?? 0, cell.length);
    });
  }
  const padded = lines.map((line) =>
    line.map((cell, k) => (k === 0 ? cell.padEnd(widths[k] ?? 0) : cell.padStart(widths[k] ?? 0))).join('  '),
  );
  return `${padded.map((line) => `  ${line.trimEnd()}`).join('\n')}\n`;
}

function machine(): Report['machine'] {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    // Of the last minute, before the run: what else the machine had to do.
    load: loadavg()[0] ?? 0,
    system: `${platform()} ${release()} ${arch()}`,
  };
}

function versions(): Report['versions'] {
  const require = createRequire(import.meta.url);
  const packages = ['ws', '@msgpack/msgpack', '@grpc/grpc-js'].map((name): [string, string] => {
    // Not every package exports its package.json: the folder is found through its main file.
    const entry = require.resolve(name);
    const folder = entry.slice(
      0,
      entry.lastIndexOf(`node_modules/${name}/`) + `node_modules/${name}/`.length,
    );
    return [name, versionIn(`${folder}package.json`)];
  });
  const own = versionIn(new URL('../package.json', import.meta.url));
  return { node: process.version, v8: process.versions.v8, pslib: own, ...Object.fromEntries(packages) };
}

function versionIn(file: string | URL): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** The commit, marked where the tree has changes beyond it. */
function commit(): string {
  const git = (...words: string[]): string => {
    const cwd = new URL('.', import.meta.url);
    return execFileSync('git', words, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  };
  try {
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', '--short=12', 'HEAD')}${isChanged ? ' with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}
