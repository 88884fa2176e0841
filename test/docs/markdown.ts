/**
 * Reads our markdown pages as far as the tests of the docs need: headings, tables and fenced blocks, in
 * order. Not a markdown parser: it knows the forms that our pages keep to.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

/** One piece of a page. */
export type Piece =
  | { readonly kind: 'heading'; readonly line: number; readonly depth: number; readonly text: string }
  | { readonly kind: 'table'; readonly line: number; readonly rows: readonly (readonly string[])[] }
  /** A fenced block; `info` is what stands behind the three backticks. */
  | { readonly kind: 'block'; readonly line: number; readonly info: string; readonly text: string }
  /** An HTML comment of several lines, hidden from readers. */
  | { readonly kind: 'comment'; readonly line: number; readonly text: string }
  | { readonly kind: 'text'; readonly line: number; readonly text: string };

/** A page of ours, by its path from the root. */
export interface Page {
  readonly path: string;
  readonly text: string;
  readonly pieces: readonly Piece[];
}

/** The page at `path`, from the root. */
export function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return { path, text, pieces: piecesOf(text) };
}

/** Every page: those at the root and those under docs/. */
export function allPages(): Page[] {
  const atRoot = readdirSync(ROOT).filter((name) => name.endsWith('.md'));
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => relative(ROOT, join(ROOT, 'docs', name)));
  return [...atRoot, ...inDocs].sort().map(readPage);
}

function piecesOf(text: string): Piece[] {
  const lines = text.split('\n');
  const pieces: Piece[] = [];
  for (let at = 0; at < lines.length; ) {
    const begin = at;
    const first = lines[at++] as string;
    const line = begin + 1;
    const until = (isEnd: (each: string) => boolean): string[] => {
      while (at < lines.length && !isEnd(lines[at] as string)) at++;
      return lines.slice(begin, at);
    };
    const heading = /^(#+) (.*)$/.exec(first);
    if (heading !== null) {
      const [, marks = '', title = ''] = heading;
      pieces.push({ kind: 'heading', line, depth: marks.length, text: title });
    } else if (first.startsWith('```')) {
      const body = until((each) => each === '```').slice(1);
      at++;
      pieces.push({ kind: 'block', line, info: first.slice(3), text: body.join('\n') });
    } else if (first.startsWith('<!--') && !first.includes('-->')) {
      const body = until((each) => each.includes('-->'));
      at++;
      pieces.push({ kind: 'comment', line, text: body.join('\n').slice('<!--'.length) });
    } else if (first.startsWith('|')) {
      pieces.push({ kind: 'table', line, rows: until((each) => !each.startsWith('|')).map(cellsOf) });
    } else if (first.trim() !== '') {
      pieces.push({ kind: 'text', line, text: first });
    }
  }
  return pieces;
}

/** The cells of a row, without the backticks around a whole cell. */
function cellsOf(row: string): string[] {
  const cells = row.split('|').slice(1, -1);
  return cells.map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1'));
}

/** The rows of the first table after the heading `title` (its text, or what it must match), without its head. */
export function tableUnder(page: Page, title: string): readonly (readonly string[])[] {
  const start = page.pieces.findIndex((piece) => piece.kind === 'heading' && piece.text === title);
  if (start < 0) throw new Error(`${page.path} has no heading "${title}"`);
  for (const piece of page.pieces.slice(start + 1)) {
    if (piece.kind === 'heading') break;
    if (piece.kind === 'table') return piece.rows.slice(2);
  }
  throw new Error(`${page.path} has no table under "${title}"`);
}
