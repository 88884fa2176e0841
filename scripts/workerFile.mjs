// The file for pages without a bundler: `pslib/worker` and what it needs in one module, as small as it gets. esbuild
// joins the modules, with an emitter of ours for eventemitter3, shortens the names that nobody else can meet
// (`privateNames.mjs`) and writes numbers for the names of messages; rolldown's minifier does the rest, 2 % better
// than esbuild's. See docs/decisions/single-file-for-pages.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { minify } from 'rolldown/utils';
import ts from 'typescript';
import { privateNames } from './privateNames.mjs';
import { walk } from './sources.mjs';

/**
 * The text of the file. `entry`: `src/workerEntry.ts`, or what tsc made of it; `root`: the folder of the repository;
 * `hasGroups`: whether its workers may have several servers.
 */
export async function makeWorkerFile(root, entry, hasGroups) {
  const { outputFiles, mangleCache } = await build({
    bundle: true,
    format: 'esm',
    // For a browser, a module of Node cannot be resolved, and the build fails.
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
    absWorkingDir: root,
    entryPoints: [entry],
    write: false,
    alias: { eventemitter3: join(root, 'scripts/smallEmitter.ts') },
    mangleCache: {},
    mangleProps: new RegExp(`^(${privateNames(root).join('|')})$`),
    plugins: hasGroups ? [messageNumbers(root)] : [withoutGroups, messageNumbers(root)],
  });
  const { code, errors } = await minify(
    'worker.js',
    withoutUncalled(outputFiles[0].text, new Set(Object.values(mangleCache))),
    { module: true },
  );
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'));
  return `/*! ${licence(root)} */\n${code}\n`;
}

/** In place of what speaks with a group of servers, the word that it is in the other file. */
const withoutGroups = {
  name: 'without groups',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]core[/\\]worker[/\\]group[/\\](groupCore|regroupingCore)\.[jt]s$/ }, () => ({
      contents: `import { PsError } from '../../base/errors.js';
        export class GroupCore {
          constructor() {
            throw new PsError('PS_NOT_INSTALLED', 'several urls, or a function that may give them, need pslib-worker-group.min.js');
          }
        }
        export { GroupCore as RegroupingCore };`,
      loader: 'ts',
    }));
  },
};

/** `text` without the methods, among those of these names, that nobody calls: what a bundler leaves of a class in use. */
function withoutUncalled(text, names) {
  const used = new Set();
  const methods = [];
  const source = ts.createSourceFile('worker.js', text, ts.ScriptTarget.ES2022, true);
  walk(source, (node) => {
    if (ts.isPropertyAccessExpression(node)) used.add(node.name.text);
    if (ts.isBindingElement(node)) used.add((node.propertyName ?? node.name).getText());
    if (ts.isMethodDeclaration(node) && ts.isIdentifier(node.name) && names.has(node.name.text))
      methods.push(node);
  });
  // A method of an object literal would leave its comma behind.
  const uncalled = methods.filter(({ name, parent }) => ts.isClassLike(parent) && !used.has(name.text));
  return uncalled.reduceRight((left, { pos, end }) => left.slice(0, pos) + left.slice(end), text);
}

/** `MessageType.push` → 15: the table of names is not needed then. */
function messageNumbers(root) {
  const table = /const MessageType = \{(.*?)\} as const/s.exec(
    readFileSync(join(root, 'src/core/protocol/messages.ts'), 'utf8'),
  );
  const numbers = new Map(
    [...(table?.[1] ?? '').matchAll(/(\w+): (\d+),/g)].map(([, name, number]) => [name, number]),
  );
  return {
    name: 'message numbers',
    setup({ onLoad }) {
      onLoad({ filter: /[/\\](src|dist)[/\\](core|io)[/\\].*\.[jt]s$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        const contents = text.replace(
          /(?<!typeof )\bMessageType\.(\w+)/g,
          (whole, name) => numbers.get(name) ?? whole,
        );
        return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
      });
    },
  };
}

/** Whose it is, and under which licence; nothing else is inside. */
function licence(root) {
  const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [, holder] = /^(Copyright .*)$/m.exec(readFileSync(join(root, 'LICENSE'), 'utf8')) ?? [];
  return `${name} ${version} | ${license} licence | ${holder}`;
}
