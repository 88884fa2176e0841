/**
 * Where the child processes' code comes from. They run as plain JavaScript, as users' do: a loader that
 * compiles on the fly would count as tens of megabytes of the server's memory and a part of its start.
 * The output must stand inside the package, where `pslib` means the package itself.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CompilerOptions } from 'typescript';

const sources: string = fileURLToPath(new URL('.', import.meta.url));

/** Compiled programs and JavaScript; ignored by git, and by the checks. */
export const BUILD_DIR: string = fileURLToPath(new URL('../reports/bench/', import.meta.url));

/** The command that runs `child.ts`, from JavaScript made now, or with `fromSources` through tsx. */
export async function childCommand(fromSources: boolean): Promise<string[]> {
  if (fromSources) return [process.execPath, '--import', 'tsx', join(sources, 'child.ts')];
  const { default: ts } = await import('typescript');
  const compilerOptions: CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
  };
  for (const folder of ['.', 'peers']) {
    for (const name of readdirSync(join(sources, folder)).filter((each) => each.endsWith('.ts'))) {
      const text = readFileSync(join(sources, folder, name), 'utf8');
      const target = join(BUILD_DIR, folder, name.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, ts.transpileModule(text, { compilerOptions, fileName: name }).outputText);
    }
  }
  return [process.execPath, join(BUILD_DIR, 'child.js')];
}
