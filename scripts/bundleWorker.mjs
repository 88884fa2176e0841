// Makes dist/pslib-worker.min.js of dist/workerEntry.js: `pslib/worker` with what it needs in one file, for
// pages without a bundler. Fails if that file is too large, or if what a browser loads needs anything of Node.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** So large the file may be, compressed as web servers do. */
const MAX_GZIPPED_BYTES = 42 * 1024;
const PACKED = ['eventemitter3'];

const root = fileURLToPath(new URL('..', import.meta.url));
const textOf = (path) => readFileSync(`${root}${path}`, 'utf8');

// For a browser, a module of Node cannot be resolved, and the build fails.
const options = {
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  logLevel: 'error',
  absWorkingDir: root,
};

await build({ ...options, entryPoints: ['dist/browser.js'], write: false });
const outfile = 'dist/pslib-worker.min.js';
const footer = { js: `/*\n${licences()}\n*/` };
await build({ ...options, entryPoints: ['dist/workerEntry.js'], outfile, footer });

const { length } = gzipSync(textOf(outfile), { level: 9 });
const size = `${outfile}: ${(length / 1024).toFixed(1)} KiB gzipped, at most ${MAX_GZIPPED_BYTES / 1024}`;
if (length > MAX_GZIPPED_BYTES) {
  console.error(size);
  process.exitCode = 1;
} else {
  console.log(size);
}

/** The notices of what is inside, as their licences ask for. */
function licences() {
  const notices = PACKED.map((name) => {
    const { version } = JSON.parse(textOf(`node_modules/${name}/package.json`));
    return `${name} ${version}\n\n${textOf(`node_modules/${name}/LICENSE`).trim()}`;
  });
  return [`pslib/worker\n\n${textOf('LICENSE').trim()}`, ...notices].join('\n\n');
}
