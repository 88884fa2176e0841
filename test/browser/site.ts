/**
 * A web site for the tests' pages. `/x.html` is a page that loads `/x.js`, which is `pages/x.ts` with all that it
 * imports; `pslib/worker` in it is the source. `/pslib-worker.min.js` is the file for pages without a bundler.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';
import { makeWorkerFile } from '../../scripts/workerFile.mjs';

const root = join(import.meta.dirname, '../..');

/** Another body, by path. */
export type Pages = Readonly<
  Record<string, () => { readonly type: string; readonly body: string | Uint8Array }>
>;

/** A site on loopback. */
export interface Site {
  readonly origin: string;
  close(): void;
}

/** Serves the pages, and what `more` adds. */
export async function serveSite(more: Pages = {}): Promise<Site> {
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site');
    answer(pathname, more).then(
      ({ type, body }) => response.setHeader('content-type', type).end(body),
      (error: Error) => response.writeHead(404).end(error.message),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(path: string, more: Pages): Promise<{ type: string; body: string | Uint8Array }> {
  const given = more[path];
  if (given !== undefined) return given();
  const [, name = '', ending] = /^\/([\w.-]+)\.(html|js)$/.exec(path) ?? [];
  if (ending === 'html') {
    const script = `<script type="module" src="/${name}.js"></script>`;
    return { type: 'text/html', body: `<!doctype html><title>${name}</title>${script}` };
  }
  if (ending !== 'js') throw new Error(`no ${path}`);
  const isWorker = name === 'pslib-worker.min' || name === 'pslib-worker-group.min';
  const body = isWorker ? await workerFile(name) : await bundled(`test/browser/pages/${name}.ts`);
  return { type: 'text/javascript', body };
}

const made = new Map<string, Promise<string>>();

/** A file for pages without a bundler, of the sources. */
function workerFile(name: string): Promise<string> {
  const file = made.get(name) ?? makeWorkerFile(root, 'src/workerEntry.ts', name.includes('group'));
  made.set(name, file);
  return file;
}

/** A file of the repository with all that it imports, as the build makes it. */
async function bundled(file: string): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [file],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'silent',
    alias: { 'pslib/worker': './src/workerEntry.ts', pslib: './src/browser.ts' },
  });
  return outputFiles[0]?.text ?? '';
}
