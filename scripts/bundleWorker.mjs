// Makes dist/pslib-worker.min.js, the file for pages without a bundler, of dist/workerEntry.js, and beside it the one
// for pages that have a group of servers. Fails if the first is too large, or if what a browser loads needs anything of
// Node.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { makeWorkerFile } from './workerFile.mjs';

/** So large the file may be, compressed as web servers do. */
const MAX_GZIPPED_BYTES = 40 * 1024;

const root = fileURLToPath(new URL('..', import.meta.url));
await build({
  entryPoints: ['dist/browser.js'],
  absWorkingDir: root,
  bundle: true,
  platform: 'browser',
  write: false,
  logLevel: 'error',
});
for (const [outfile, hasGroups, maxBytes] of [
  ['dist/pslib-worker.min.js', false, MAX_GZIPPED_BYTES],
  ['dist/pslib-worker-group.min.js', true, Number.POSITIVE_INFINITY],
]) {
  const text = await makeWorkerFile(root, 'dist/workerEntry.js', hasGroups);
  writeFileSync(`${root}${outfile}`, text);
  const { length } = gzipSync(text, { level: 9 });
  const isTooLarge = length > maxBytes;
  if (isTooLarge) process.exitCode = 1;
  const size = `${outfile}: ${(length / 1024).toFixed(1)} KiB gzipped`;
  console.log(isTooLarge ? `${size}, at most ${maxBytes / 1024}` : size);
}
