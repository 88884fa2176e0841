// The rings of ARCHITECTURE.md as rules. A file imports from its own folder or from lower rings; a few
// neighbours may not know each other at all; src/core is pure; browser code needs nothing of Node.

const { builtinModules } = require('node:module');

/** Lowest first. */
const rings = [
  'core/base',
  'core/tensor',
  'core/kernels',
  'core/partition',
  'core/optim',
  'core/consistency',
  'core/tasks',
  'core/protocol',
  'core/table',
  'core/server',
  'core/worker',
  'io',
  'launch',
  'ops',
  'adapters',
  'testing',
  'cli',
];

/** Files of public names, at the top of src. Nothing inside src imports them. */
const entries = '^src/(index|browser|workerEntry|nodeWorkerEntry|testingEntry|tfjs)\\.ts$';

/** Modules of Node, which are reported without their `node:`. */
const nodeModule = `^(node:.*|${builtinModules.join('|')})$`;

/** One rule per ring: it reaches no ring above it and no entry file. */
const ringRules = rings.map((ring, height) => ({
  name: `ring-${ring.replace('core/', '')}`,
  comment: `${ring} imports only from itself and from lower rings: ${rings.slice(0, height).join(', ') || 'none'}`,
  severity: 'error',
  from: { path: `^src/${ring}/` },
  to: { path: '^src/', pathNot: rings.slice(0, height + 1).map((each) => `^src/${each}/`) },
}));

/** A rule that files under one folder do not import files under others. */
function blind(name, from, to, comment) {
  return { name, comment, severity: 'error', from: { path: from }, to: { path: to } };
}

module.exports = {
  forbidden: [
    ...ringRules,
    {
      name: 'known-ring',
      comment: 'every file of src is an entry file or stands in a ring',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: [entries, ...rings.map((each) => `^src/${each}/`)] },
    },
    blind(
      'policies-see-no-tensors',
      '^src/core/consistency/',
      '^src/core/(tensor|kernels|partition|optim)/',
      'policies see clocks and versions only',
    ),
    blind('optimizers-know-no-policy', '^src/core/optim/', '^src/core/consistency/', 'blind siblings'),
    blind(
      'server-and-worker-meet-in-protocol',
      '^src/core/worker/',
      '^src/core/server/',
      'the two cores share only messages',
    ),
    {
      name: 'nothing-imports-its-metrics',
      comment: 'only the command line and the entry files know ops',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(ops|cli)/', entries] },
      to: { path: '^src/ops/' },
    },
    {
      name: 'no-circles',
      comment: 'type-only imports count too',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'a file that nothing imports and that imports nothing is forgotten',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: [entries] },
      to: {},
    },
    {
      name: 'core-is-pure',
      comment: 'no Node modules and no packages in src/core',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { pathNot: ['^src/'] },
    },
    {
      name: 'browser-needs-no-node',
      comment: 'what a browser loads reaches no Node module and not ws',
      severity: 'error',
      from: { path: '^src/(browser|workerEntry|testingEntry)\\.ts$' },
      to: { reachable: true, path: [nodeModule, '^node_modules/(ws|@types)/', '^ws$'] },
    },
    {
      name: 'worker-entry-has-no-server',
      comment: 'pslib/worker stays small',
      severity: 'error',
      from: { path: '^src/(workerEntry|nodeWorkerEntry)\\.ts$' },
      to: { reachable: true, path: '^src/(core/server|ops|testing|cli)/' },
    },
    {
      name: 'only-runtime-dependencies',
      comment:
        'what src imports is installed with pslib, or by those who use it (peers); the page of the dashboard is bundled with what it needs',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/ops/dashboard/page/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'undetermined'],
        dependencyTypesNot: ['type-only', 'npm-peer'],
      },
    },
    {
      name: 'src-stands-alone',
      comment: 'src imports no test, example or benchmark',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|examples|bench|scripts)/' },
    },
    {
      name: 'examples-use-the-package',
      comment: "an example imports 'pslib', as its reader will",
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^src/', pathNot: entries },
    },
    {
      name: 'resolvable',
      comment: 'an import that leads nowhere',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
