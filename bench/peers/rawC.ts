/** The reference: a round over plain TCP in C (`c/round.c`), where there is a C compiler. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Peer } from '../peer.js';

/** Raw TCP in C. */
export const peer: Peer = {
  name: 'rawC',
  title: 'raw TCP in C',
  applies: false,
  async prepare(buildDir) {
    const source = fileURLToPath(new URL('../c/round.c', import.meta.url));
    await mkdir(buildDir, { recursive: true });
    const compile = promisify(execFile)('cc', ['-O3', '-pthread', '-o', join(buildDir, 'round'), source]);
    return compile.then(
      () => undefined,
      (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? 'no C compiler' : String(error)),
    );
  },
  command(buildDir, role) {
    const program = join(buildDir, 'round');
    if (role.role === 'server') return [program, 'serve', `${role.bytes}`];
    return [program, 'work', `${role.port}`, `${role.bytes}`, role.operation];
  },
};
