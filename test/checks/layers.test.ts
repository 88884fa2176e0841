import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PlantedProject, plantProject } from './planted.js';

// The layer rules must be able to fail: each is shown a file that breaks it, and one project that
// breaks none shows that they can pass.

const uses = (specifier: string): string =>
  `import { anything } from '${specifier}';\nexport const used = anything;\n`;
const NOTHING = 'export const anything = 1;\n';

/** File → what it imports → the rule that must name it. */
const violations: readonly [file: string, specifier: string, rule: string][] = [
  ['src/core/base/low.ts', '../optim/plain.js', 'ring-base'],
  ['src/core/tensor/low.ts', '../kernels/plain.js', 'ring-tensor'],
  ['src/core/kernels/low.ts', '../partition/plain.js', 'ring-kernels'],
  ['src/core/partition/low.ts', '../optim/plain.js', 'ring-partition'],
  ['src/core/optim/low.ts', '../tasks/plain.js', 'ring-optim'],
  ['src/core/optim/nosy.ts', '../consistency/plain.js', 'optimizers-know-no-policy'],
  ['src/core/consistency/low.ts', '../table/plain.js', 'ring-consistency'],
  ['src/core/consistency/nosy.ts', '../optim/plain.js', 'policies-see-no-tensors'],
  ['src/core/consistency/tensors.ts', '../tensor/plain.js', 'policies-see-no-tensors'],
  ['src/core/tasks/low.ts', '../protocol/plain.js', 'ring-tasks'],
  ['src/core/protocol/low.ts', '../table/plain.js', 'ring-protocol'],
  ['src/core/table/low.ts', '../server/plain.js', 'ring-table'],
  ['src/core/server/low.ts', '../worker/plain.js', 'ring-server'],
  ['src/core/worker/nosy.ts', '../server/plain.js', 'server-and-worker-meet-in-protocol'],
  ['src/core/worker/low.ts', '../../io/plain.js', 'ring-worker'],
  ['src/io/low.ts', '../ops/plain.js', 'ring-io'],
  ['src/adapters/metrics.ts', '../ops/plain.js', 'nothing-imports-its-metrics'],
  ['src/ops/low.ts', '../testing/plain.js', 'ring-ops'],
  ['src/adapters/low.ts', '../testing/plain.js', 'ring-adapters'],
  ['src/testing/low.ts', '../cli/plain.js', 'ring-testing'],
  ['src/cli/barrel.ts', '../index.js', 'ring-cli'],
  ['src/index.ts', './helpers/plain.js', 'known-ring'],
  ['src/core/optim/node.ts', 'node:fs', 'core-is-pure'],
  ['src/core/optim/bare.ts', 'fs', 'core-is-pure'],
  ['src/core/optim/package.ts', 'eventemitter3', 'core-is-pure'],
  ['src/core/protocol/wire.ts', '@msgpack/msgpack', 'core-is-pure'],
  ['src/io/socket.ts', 'ws', 'none'],
  ['src/io/files.ts', 'node:fs', 'none'],
  ['src/browser.ts', './io/socket.js', 'browser-needs-no-node'],
  ['src/workerEntry.ts', './io/files.js', 'browser-needs-no-node'],
  ['src/testingEntry.ts', './io/files.js', 'browser-needs-no-node'],
  ['src/nodeWorkerEntry.ts', './core/server/plain.js', 'worker-entry-has-no-server'],
  ['src/io/progress.ts', 'fast-check', 'only-runtime-dependencies'],
  ['src/io/outside.ts', '../../examples/digits/data.js', 'src-stands-alone'],
  ['src/io/lost.ts', './missing.js', 'resolvable'],
  ['examples/digits/inner.ts', '../../src/io/plain.js', 'examples-use-the-package'],
  ['examples/digits/plain.ts', 'pslib', 'none'],
  ['src/io/circleA.ts', './circleB.js', 'no-circles'],
];
const rings = `core/base core/tensor core/kernels core/partition core/optim core/consistency core/tasks
  core/protocol core/table core/server core/worker io ops adapters testing cli helpers`.split(/\s+/);

describe('the layer rules', () => {
  let project: PlantedProject;
  let found: string[];

  beforeAll(() => {
    project = plantProject();
    for (const ring of rings) project.write(`src/${ring}/plain.ts`, NOTHING);
    project.write('src/core/base/orphan.ts', NOTHING);
    project.write('src/io/circleB.ts', uses('./circleA.js'));
    project.write('examples/digits/data.ts', NOTHING);
    for (const [file, specifier] of violations) project.write(file, uses(specifier));
    found = project.findLayerViolations();
  });

  afterAll(() => project.remove());

  for (const [file, specifier, rule] of violations.filter((each) => each[2] !== 'none')) {
    test(`${rule}: ${file} may not import ${specifier}`, () => {
      expect(found).toContain(`${rule}: ${file}`);
    });
  }

  for (const [file, specifier] of violations.filter((each) => each[2] === 'none')) {
    test(`${file} may import ${specifier}`, () => {
      expect(found.filter((each) => each.endsWith(`: ${file}`))).toEqual([]);
    });
  }

  test('no-orphans: a file alone in the world', () => {
    expect(found).toContain('no-orphans: src/core/base/orphan.ts');
  });
});
