// The file for pages without a bundler: `pslib/worker` and what it needs in one module, as small as it gets. esbuild
// joins the modules, with an emitter of ours for eventemitter3, shortens the names that nobody else can meet
// (`privateNames.mjs`) and writes numbers for the names of messages; rolldown's minifier does the rest, 2 % better
// than esbuild's. See docs/decisions/single-file-for-pages.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { minify } from 'rolldown/utils';
import { privateNames } from './privateNames.mjs';

/** The text of the file. `entry`: `src/workerEntry.ts`, or what tsc made of it; `root`: the folder of the repository. */
export async function makeWorkerFile(root, entry) {
  const { outputFiles } = await build({
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
    mangleProps: new RegExp(`^(${privateNames(root).join('|')})$`),
    plugins: [messageNumbers(root)],
  });
  const { code, errors } = await minify('worker.js', outputFiles[0].text, { module: true });
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'));
  return `${code}\n/*\n${licence(root)}\n*/\n`;
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

/** The notice that pslib's licence asks for; nothing else is inside. */
function licence(root) {
  const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return `${name} ${version}\n\n${readFileSync(join(root, 'LICENSE'), 'utf8').trim()}`;
}
