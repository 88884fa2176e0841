import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/**
 * An empty project outside the repository with nothing in it but pslib, installed from the packed
 * tarball as a user would. The TypeScript compiler and @types/node are the repository's own, so that
 * only pslib's runtime dependencies come from the registry or npm's cache.
 */
export interface EmptyProject {
  readonly folder: string;
  /** Paths in the tarball, sorted. */
  readonly packedFiles: readonly string[];
  write(path: string, text: string): void;
  copy(from: string, to: string): void;
  /** A package of the repository's, as if it were installed. */
  link(name: string): void;
  /** Runs Node in the project. */
  node(...args: string[]): Promise<Finished>;
  /** Type-checks or compiles with the given compiler options and files; prints errors, if any. */
  tsc(options: object, files: readonly string[]): Promise<Finished>;
  remove(): void;
}

/** A process that ended. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  /** Both streams, for messages of failed assertions. */
  readonly output: string;
}

/** The repository. */
export const root: string = resolve(import.meta.dirname, '../..');

/** What the strictest users set. */
export const STRICT: object = {
  target: 'ES2022',
  lib: ['ES2023'],
  module: 'nodenext',
  moduleResolution: 'nodenext',
  types: ['node'],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  noEmitOnError: true,
  rootDir: 'src',
  outDir: 'out',
};

async function run(command: string, args: readonly string[], cwd: string): Promise<Finished> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: cleanEnvironment() });
  let stdout = '';
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
    output += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, output };
}

/** The environment without what the test runner and npm put into it. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_)|VITEST|NODE_(ENV|OPTIONS|PATH)$)/.test(name),
  );
  return Object.fromEntries(kept);
}

async function npm(args: readonly string[], cwd: string): Promise<string> {
  const { code, output, stdout } = await run('npm', args, cwd);
  if (code !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${output}`);
  return stdout;
}

/** Packs the repository, and installs the tarball into a new project. */
export async function installIntoEmptyProject(): Promise<EmptyProject> {
  const folder = mkdtempSync(join(tmpdir(), 'pslib-package-'));
  await npm(['pack', '--silent', '--pack-destination', folder], root);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? 'no tarball';
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  write('package.json', JSON.stringify({ name: 'empty', private: true, type: 'module' }));
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error'];
  await npm(['install', `./${tarball}`, ...quiet], folder);
  const link = (name: string): void => {
    const place = join(folder, 'node_modules', name);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), place, 'junction');
  };
  link('@types/node');
  const listing = await run('tar', ['-tzf', tarball], folder);
  return {
    folder,
    packedFiles: listing.stdout
      .trim()
      .replaceAll(/^package\//gm, '')
      .split('\n')
      .sort(),
    write,
    copy: (from, to) => cpSync(join(root, from), join(folder, to), { recursive: true }),
    link,
    node: (...args) => run(process.execPath, args, folder),
    tsc: (compilerOptions, files) => {
      write('tsconfig.json', JSON.stringify({ compilerOptions, files }));
      return run(
        process.execPath,
        [join(root, 'node_modules/typescript/bin/tsc'), '--pretty', 'false'],
        folder,
      );
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A port of the loopback interface that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
