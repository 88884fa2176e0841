/**
 * The TypeScript in our pages, as modules that can be checked and run. A block ` ```ts ` is a module: its
 * own if it imports, else behind the page's last hidden comment `<!-- ts … -->`, which holds what readers
 * need not see. A block ` ```ts run ` is a whole program; the block ` ```text ` behind it is what it prints.
 */
import { join } from 'node:path';
import ts from 'typescript';
import { allPages, type Page, ROOT } from './markdown.js';

/** One block as a module. */
export interface Program {
  /** `page:line` of its first line. */
  readonly name: string;
  /** Where it stands for the compiler: nowhere on disk. */
  readonly file: string;
  readonly text: string;
  /** Lines of `text` before the block's own. */
  readonly hiddenLines: number;
  readonly page: string;
  readonly line: number;
  /** What it prints; undefined unless it is to be run. */
  readonly output: string | undefined;
}

/** Every block of TypeScript in every page. */
export function allPrograms(): Program[] {
  return allPages().flatMap(programsOf);
}

function programsOf({ path, pieces }: Page): Program[] {
  const programs: Program[] = [];
  let context = '';
  pieces.forEach((piece, i) => {
    if (piece.kind === 'comment' && piece.text.startsWith(' ts\n'))
      context = piece.text.slice(' ts\n'.length);
    if (piece.kind !== 'block' || !/^ts( run)?$/.test(piece.info)) return;
    const isRun = piece.info === 'ts run';
    const isAlone = /^import /m.test(piece.text);
    // In braces: it may declare what the hidden part declares too.
    const hidden = isAlone ? '' : `${context}\n{\n`;
    const printed = pieces.slice(i + 1).find((each) => each.kind === 'block');
    if (isRun && printed?.info !== 'text') throw new Error(`${path}:${piece.line} says not what it prints`);
    programs.push({
      name: `${path}:${piece.line + 1}`,
      file: join(ROOT, 'docs', `block${path.replaceAll(/\W/g, '_')}_${piece.line}.ts`),
      text: `${hidden}${piece.text}\n${isAlone ? '' : '}\n'}export {};\n`,
      hiddenLines: hidden.split('\n').length - 1,
      page: path,
      line: piece.line + 1,
      output: isRun && printed?.kind === 'block' ? `${printed.text}\n` : undefined,
    });
  });
  return programs;
}

/** What the compiler has against each program, by its name: as a strict user of the sources would see it. */
export function complaintsAbout(programs: readonly Program[]): Map<string, string[]> {
  const texts = new Map(programs.map(({ file, text }) => [file, text]));
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const strict = {
    ...options,
    noEmit: true,
    isolatedDeclarations: false,
    declaration: false,
    declarationMap: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    noUncheckedIndexedAccess: true,
  };
  const host = ts.createCompilerHost(strict);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => texts.has(file) || fileExists(file);
  host.readFile = (file) => texts.get(file) ?? readFile(file);
  host.getSourceFile = (file, target, ...rest) => {
    const text = texts.get(file);
    return text === undefined
      ? getSourceFile(file, target, ...rest)
      : ts.createSourceFile(file, text, target);
  };
  const compiled = ts.createProgram([...texts.keys()], strict, host);
  const complaints = new Map<string, string[]>();
  for (const program of programs) {
    const source = compiled.getSourceFile(program.file);
    const found = [...compiled.getSyntacticDiagnostics(source), ...compiled.getSemanticDiagnostics(source)];
    complaints.set(
      program.name,
      found.map((each) => complaintOf(program, each)),
    );
  }
  return complaints;
}

function complaintOf(program: Program, { file, start = 0, messageText }: ts.Diagnostic): string {
  const line = (file?.getLineAndCharacterOfPosition(start).line ?? 0) - program.hiddenLines + program.line;
  return `${program.page}:${line} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
}
