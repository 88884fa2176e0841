import { defineConfig, type ViteUserConfig } from 'vitest/config';

// Projects by what a test needs:
// - core: pure logic, no sockets and no timers; fast, in threads.
// - process: real sockets, files and child processes, in processes of their own; 90 s guard against hangs.
// - simulation: thousands of simulated runs, and the planted bugs that they must find (`npm run test:simulation`).
// - browser: a real Chromium, where there is one (`npm run test:browser`).
// - package: the packed tarball in an empty project (`npm run test:package`).
// - slurm: a Slurm of this machine, where it is installed (`npm run test:slurm`).
// - hosts: several hosts as network namespaces, where they can be made (`npm run test:hosts`).
// Every kind of test has a folder under test/; `npx vitest run test/unit` runs one of them.

const isCi = Boolean(process.env.CI);
const sockets = ['integration', 'fault', 'docs', 'checks'];
const simulation = ['property/simulation', 'fault/mutants'];

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
    // What is awaited comes in its time, however busy the machine: the time of the test is the bound.
    expect: { poll: { timeout: 60_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'core',
          include: ['test/**/*.test.ts'],
          exclude: inFolders([...sockets, ...simulation, 'package', 'browser', 'slurm', 'hosts']),
          pool: 'threads',
          testTimeout: 90_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'process',
          include: inFolders(sockets),
          exclude: inFolders(simulation),
          pool: 'forks',
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'simulation',
          include: inFolders(simulation),
          pool: 'forks',
          // Of one file: each mutant is searched in a process of its own.
          maxConcurrency: 2,
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
          name: 'slurm',
          include: inFolders(['slurm']),
          pool: 'forks',
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'hosts',
          include: inFolders(['hosts']),
          pool: 'forks',
          testTimeout: 90_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: inFolders(['package']),
          pool: 'forks',
          // Each builds and packs in the same folder.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});

export default config;
