// `npm run check`: every check of the project, one line each; the output of those that fail follows.
// `npm run check -- types layers` runs only those named.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const workDir = mkdtempSync(join(tmpdir(), 'pslib-check-'));

/** The packed tarball, as users get it. */
function tarball() {
  const file = readdirSync(workDir).find((name) => name.endsWith('.tgz'));
  return join(workDir, file ?? 'no-tarball.tgz');
}

/** Folders with imports to check, those that exist. */
const folders = ['src', 'test', 'examples', 'bench'].filter((name) => existsSync(join(root, name))).join(' ');

const steps = [
  [
    'format and lint',
    () => 'biome ci --colors=off --error-on-warnings --diagnostic-level=warn --max-diagnostics=30 .',
  ],
  ['types', () => 'tsc --pretty false -p tsconfig.json'],
  ['layers and circles', () => `depcruise --config .dependency-cruiser.cjs ${folders}`],
  ['purity', () => 'node scripts/checkPurity.mjs'],
  ['wasm bytes', () => 'node scripts/checkWasm.mjs'],
  ['sizes', () => 'node scripts/checkSizes.mjs'],
  ['unused exports', () => 'knip --no-progress'],
  ['lock file', () => 'node scripts/lock.mjs --check'],
  ['build and pack', () => `npm pack --silent --pack-destination "${workDir}"`],
  ['publint', () => `publint run --strict "${tarball()}"`],
  ['attw', () => `attw --profile esm-only "${tarball()}"`],
];

/** Runs a shell command in the root with the tools of node_modules/.bin in reach. */
function runCommand(command) {
  const bin = join(root, 'node_modules', '.bin');
  const separator = process.platform === 'win32' ? ';' : ':';
  const env = { ...process.env, PATH: `${bin}${separator}${process.env.PATH}`, NO_COLOR: '1' };
  return new Promise((resolve, reject) => {
    const child = spawn(command, { cwd: root, env, shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** What a step that passed has to say besides: warnings and the last line of our own scripts. */
function remarkOf(name, output) {
  const lines = output.trim().split('\n');
  const warnings = lines.filter((line) => line.startsWith('warning:'));
  const summary = name === 'sizes' ? ` (${lines.at(-1)})` : '';
  return [summary, ...warnings.map((line) => `     ${line}`)].join('\n');
}

const wanted = process.argv.slice(2);
const isWanted = (name) => wanted.length === 0 || wanted.some((word) => name.includes(word));
let failed = 0;
try {
  for (const [name, command] of steps.filter(([each]) => isWanted(each))) {
    const started = performance.now();
    const { ok, output } = await runCommand(command());
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (!ok) failed += 1;
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} ${seconds} s${ok ? remarkOf(name, output) : ''}`);
    if (!ok) console.log(output.trimEnd().replace(/^/gm, '     '));
  }
} finally {
  rmSync(workDir, { recursive: true, force: true });
}
console.log(failed === 0 ? 'all checks passed' : `${failed} checks failed`);
process.exitCode = failed === 0 ? 0 : 1;
