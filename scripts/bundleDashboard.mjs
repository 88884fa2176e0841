// Makes dist/ops/dashboard/files: the dashboard's page in files that the server hands out. The script is bundled
// from what tsc made of src/ops/dashboard/page, with uPlot in it, so the page needs nothing from elsewhere.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const PACKED = ['uplot', 'eventemitter3'];

const root = fileURLToPath(new URL('..', import.meta.url));
const textOf = (path) => readFileSync(`${root}${path}`, 'utf8');
const page = `${root}dist/ops/dashboard/page`;
const files = `${root}dist/ops/dashboard/files`;
const sources = 'src/ops/dashboard/static';

mkdirSync(files, { recursive: true });
const notices = PACKED.map((name) => {
  const { version } = JSON.parse(textOf(`node_modules/${name}/package.json`));
  return `${name} ${version}\n\n${textOf(`node_modules/${name}/LICENSE`).trim()}`;
});
await build({
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  logLevel: 'error',
  absWorkingDir: root,
  entryPoints: [`${page}/main.js`],
  outfile: `${files}/dashboard.js`,
  footer: { js: `/*\n${notices.join('\n\n')}\n*/` },
});
// Only the bundle is of use: nobody imports the parts.
rmSync(page, { recursive: true });
for (const name of ['index.html', 'icon.svg']) copyFileSync(`${root}${sources}/${name}`, `${files}/${name}`);
writeFileSync(
  `${files}/dashboard.css`,
  `${textOf('node_modules/uplot/dist/uPlot.min.css')}\n${textOf(`${sources}/dashboard.css`)}`,
);
