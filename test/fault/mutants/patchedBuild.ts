/**
 * Copies of the sources with planted bugs: compiled once, without types, then copied and patched for each
 * mutant, and searched in a process of its own. Nothing of it touches the sources.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import type { Mutant, Patch } from './mutant.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** A mutant that takes longer goes round in circles somewhere; that counts as found. */
const TIMEOUT_MS = 240_000;

/** What became of one mutant. */
export interface MutantResult {
  /** Seeds until it was found, the last included; undefined: it was not. */
  readonly foundAfter: number | undefined;
  /** The rule that it broke. */
  readonly rule: string;
}

/** A compiled copy of the sources, and further copies of that. */
export class PatchedBuild {
  readonly #folder: string;

  constructor() {
    // Below node_modules, so that packages are found.
    const cache = join(root, 'node_modules', '.cache');
    mkdirSync(cache, { recursive: true });
    this.#folder = mkdtempSync(join(cache, 'pslib-mutants-'));
    writeFileSync(join(this.#folder, 'package.json'), '{"type":"module"}');
    for (const file of ['core', 'io/storage', 'io/transport', 'testing'].flatMap(sourcesBelow)) {
      write(join(this.#folder, 'base', `${file.slice(0, -3)}.js`), compiled(source(file)));
    }
  }

  /** Looks for `mutant` in the first `seeds` schedules. */
  async search(mutant: Mutant, seeds: number): Promise<MutantResult> {
    const folder = mkdtempSync(join(this.#folder, 'mutant-'));
    cpSync(join(this.#folder, 'base'), folder, { recursive: true });
    const texts = new Map<string, string>();
    for (const patch of mutant.patches) {
      texts.set(patch.file, patched(texts.get(patch.file) ?? source(patch.file), patch));
    }
    for (const [file, text] of texts) write(join(folder, `${file.slice(0, -3)}.js`), compiled(text));
    try {
      return await run(folder, mutant, seeds);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** `text` with the patch applied. Throws unless its text is there exactly once. */
export function patched(text: string, { file, find, replace }: Patch): string {
  const count = text.split(find).length - 1;
  if (count !== 1) throw new Error(`${file} has ${count} times, not once:\n${find}`);
  return text.replace(find, () => replace);
}

/** The text of a file below `src`. */
export function source(file: string): string {
  return readFileSync(join(root, 'src', file), 'utf8');
}

function sourcesBelow(folder: string): string[] {
  const names = readdirSync(join(root, 'src', folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name}`);
}

function compiled(text: string): string {
  return ts.transpileModule(text, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  }).outputText;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function run(folder: string, mutant: Mutant, seeds: number): Promise<MutantResult> {
  const searchUrl = pathToFileURL(join(folder, 'testing/search/planted.js')).href;
  const { options, showsInBits = false } = mutant;
  const job = JSON.stringify({ seeds, showsInBits, ...(options === undefined ? {} : { options }) });
  const code = `import { searchPlanted } from ${JSON.stringify(searchUrl)};
    process.stdout.write(JSON.stringify(searchPlanted(${job})));`;
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ['--input-type=module', '-e', code],
      { cwd: folder, timeout: TIMEOUT_MS, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) => {
        if (error === null) resolve(JSON.parse(stdout) as MutantResult);
        else if (error.killed === true) resolve({ foundAfter: seeds, rule: 'it never ends' });
        else reject(new Error(`${mutant.name}: ${stderr}`, { cause: error }));
      },
    );
  });
}
