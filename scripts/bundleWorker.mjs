// Makes dist/pslib-worker.min.js, the file for pages without a bundler, of dist/workerEntry.js. Fails if it is too
// large, or if what a browser loads needs anything of Node.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { makeWorkerFile } from './workerFile.mjs';

/** So large the file may be, compressed as web servers do. */
const MAX_GZIPPED_BYTES = 44 * 1024;

const root = fileURLToPath(new URL('..', import.meta.url));
await build({
  entryPoints: ['dist/browser.js'],
  absWorkingDir: root,
  bundle: true,
  platform: 'browser',
  write: false,
  logLevel: 'error',
});
const outfile = 'dist/pslib-worker.min.js';
const text = await makeWorkerFile(root, 'dist/workerEntry.js');
writeFileSync(`${root}${outfile}`, text);

const { length } = gzipSync(text, { level: 9 });
const size = `${outfile}: ${(length / 1024).toFixed(1)} KiB gzipped, at most ${MAX_GZIPPED_BYTES / 1024}`;
if (length > MAX_GZIPPED_BYTES) {
  console.error(size);
  process.exitCode = 1;
} else {
  console.log(size);
}
