import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** A throw-away project with this repository's check configuration and files planted by a test. */
export interface PlantedProject {
  /** Writes a file, with the folders above it. */
  write(path: string, text: string): void;
  /** Runs one of the repository's scripts in the project. */
  runScript(script: string, args: readonly string[]): { status: number; output: string };
  /** Runs dependency-cruiser; every violation as `rule: file`. */
  findLayerViolations(): string[];
  remove(): void;
}

const root = resolve(import.meta.dirname, '../..');

interface CruiseReport {
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { name: string } }[];
  };
}

/** Makes an empty project in a temporary folder; its packages are stubs, found by name only. */
export function plantProject(): PlantedProject {
  const folder = mkdtempSync(join(tmpdir(), 'pslib-planted-'));
  for (const file of ['.dependency-cruiser.cjs', 'package.json', 'tsconfig.json', 'tsconfig.base.json']) {
    cpSync(join(root, file), join(folder, file));
  }
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  for (const name of ['ws', '@msgpack/msgpack', 'eventemitter3', 'fast-check']) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    write(`node_modules/${name}/index.js`, 'exports.anything = 1;\n');
  }
  const run = (
    script: string,
    args: readonly string[],
  ): { status: number; output: string; stdout: string } => {
    const child = spawnSync(process.execPath, [script, ...args], { cwd: folder, encoding: 'utf8' });
    return { status: child.status ?? -1, output: child.stdout + child.stderr, stdout: child.stdout };
  };
  return {
    write,
    runScript: (script, args) => run(join(root, script), args),
    findLayerViolations: () => {
      const cli = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
      const args = ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src', 'examples'];
      const { summary } = JSON.parse(run(cli, args).stdout) as CruiseReport;
      return summary.violations.map((each) => `${each.rule.name}: ${each.from}`);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
