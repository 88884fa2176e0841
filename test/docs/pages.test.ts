import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERROR_KINDS } from '../../src/core/base/errors.js';
import { allPages, type Page, ROOT, readPage } from './markdown.js';

// What the pages say of the repository is there: links, files, codes.

const pages = allPages();

describe('links', () => {
  test.each(pages.map((page) => [page.path, page] as const))('of %s lead somewhere', (_path, page) => {
    const broken = linksOf(page).filter((target) => !isThere(page, target));
    expect(broken).toEqual([]);
  });

  /** Targets of links to files and headings of ours. */
  function linksOf({ pieces }: Page): string[] {
    const text = pieces.map((piece) => textOf(piece)).join('\n');
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    return targets.filter((target) => !/^https?:/.test(target));
  }

  function textOf(piece: Page['pieces'][number]): string {
    if (piece.kind === 'table') return piece.rows.flat().join('\n');
    return piece.kind === 'block' ? '' : piece.text;
  }

  function isThere(page: Page, target: string): boolean {
    const [file = '', anchor] = target.split('#');
    const path = file === '' ? page.path : normalize(join(dirname(page.path), file));
    if (!existsSync(join(ROOT, path))) return false;
    if (anchor === undefined) return true;
    const headings = readPage(path).pieces.flatMap((piece) => (piece.kind === 'heading' ? [piece.text] : []));
    return headings.map(anchorOf).includes(anchor);
  }

  /** The anchor that GitHub gives a heading. */
  function anchorOf(heading: string): string {
    return heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
  }
});

describe('files', () => {
  test.each(pages.map((page) => [page.path, page] as const))('named in %s exist', (_path, page) => {
    const named = [...page.text.matchAll(/`((?:src|test|examples|bench|scripts|docs)\/[\w./-]+)`/g)];
    const missing = named.map(([, path = '']) => path).filter((path) => !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });

  test('every folder of src/core has its ring in ARCHITECTURE.md', () => {
    const folders = readdirSync(join(ROOT, 'src/core')).filter((name) =>
      statSync(join(ROOT, 'src/core', name)).isDirectory(),
    );
    const { text } = readPage('ARCHITECTURE.md');
    expect(folders.filter((name) => !text.includes(`| \`core/${name}\` |`))).toEqual([]);
  });

  test("every file on ARCHITECTURE.md's map exists in the folder that it stands in", () => {
    const map = readPage('ARCHITECTURE.md').pieces.find(
      (piece) => piece.kind === 'block' && piece.text.startsWith('src/\n'),
    );
    const missing: string[] = [];
    const folders: string[] = [];
    for (const line of map?.kind === 'block' ? map.text.split('\n') : []) {
      const folder = /^( *)([\w]+)\//.exec(line);
      if (folder !== null) {
        const [, indent = '', name = ''] = folder;
        folders.length = indent.length / 2;
        folders.push(name);
      }
      const place = folders.join('/');
      for (const [file] of line.matchAll(/\w+\.ts/g)) {
        if (!existsSync(join(ROOT, place, file))) missing.push(`${place}/${file}`);
      }
    }
    expect(missing).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  const codes = readPage('docs/errors.md').pieces.flatMap((piece) =>
    piece.kind === 'heading' && piece.text.startsWith('PS_') ? [piece.text] : [],
  );

  test('has a heading for every code, in the order of the table, and for no other', () => {
    expect(codes).toEqual(Object.keys(ERROR_KINDS));
  });
});

describe('docs/README.md', () => {
  test('lists every page of docs', () => {
    const { text } = readPage('docs/README.md');
    const inDocs = pages.map(({ path }) => path).filter((path) => /^docs\/(?!README|decisions\/)/.test(path));
    expect(inDocs.filter((path) => !text.includes(`(${path.slice('docs/'.length)})`))).toEqual([]);
  });

  test('docs/decisions/README.md lists every decision', () => {
    const { text } = readPage('docs/decisions/README.md');
    const decisions = readdirSync(join(ROOT, 'docs/decisions')).filter((name) => name !== 'README.md');
    expect(decisions.filter((name) => !text.includes(`(${name})`))).toEqual([]);
  });
});
