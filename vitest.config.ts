import { defineConfig, type ViteUserConfig } from 'vitest/config';

// Four projects by what a test needs:
// - core: pure logic, no sockets and no timers; fast, in threads.
// - process: real sockets, files and child processes, in processes of their own; 90 s guard against hangs.
// - browser: a real Chromium, where there is one (`npm run test:browser`).
// - package: the packed tarball in an empty project (`npm run test:package`).
// Every kind of test has a folder under test/; `npx vitest run test/unit` runs one of them.

const isCi = Boolean(process.env.CI);
const sockets = ['integration', 'fault', 'docs', 'checks'];

/** The test files in the given folders of test/. */
function inFolders(folders: readonly string[]): string[] {
  return folders.map((folder) => `test/${folder}/**/*.test.ts`);
}

const config: ViteUserConfig = defineConfig({
  test: {
    globals: false,
    allowOnly: !isCi,
    maxWorkers: '100%',
    reporters: isCi ? ['default', 'json'] : ['default'],
    outputFile: { json: 'reports/test.json' },
    projects: [
      {
        extends: true,
        test: {
          name: 'core',
          include: ['test/**/*.test.ts'],
          exclude: inFolders([...sockets, 'package', 'browser']),
          pool: 'threads',
          testTimeout: 90_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'process',
          include: inFolders(sockets),
          pool: 'forks',
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: inFolders(['browser']),
          pool: 'forks',
          // One browser at a time: each has several processes.
          fileParallelism: false,
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: inFolders(['package']),
          pool: 'forks',
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});

export default config;
