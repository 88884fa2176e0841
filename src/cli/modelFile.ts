/**
 * Reads the options of a server from a file: JSON, or a module with functions in it. What the options mean, and
 * whether they are right, `ParameterServer` decides.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, PsError } from '../core/base/errors.js';
import type { ParameterServerOptions } from '../io/server/serverOptions.js';

/** Options as a file may give them: where to listen may be said elsewhere. */
export type ModelOptions = Omit<ParameterServerOptions, 'server' | 'noServer'>;

/** The options in `file`. Rejects with `PS_INVALID_ARGUMENT` that names the file and says what is wrong with it. */
export async function readModelFile(file: string): Promise<ModelOptions> {
  const options = file.endsWith('.json') ? await fromJson(file) : await fromModule(file);
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw wrongFile(file, `must hold an object of options, holds ${describe(options)}`);
  }
  for (const key of ['server', 'noServer']) {
    if (Object.hasOwn(options, key)) throw wrongFile(file, `may not have the option ${key}`);
  }
  return options as ModelOptions;
}

async function fromJson(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw wrongFile(file, `can't be read: ${(cause as Error).message}`, cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw wrongFile(file, `is no JSON: ${(cause as Error).message}`, cause);
  }
}

async function fromModule(file: string): Promise<unknown> {
  let module: { default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(file)).href);
  } catch (cause) {
    throw wrongFile(file, `can't be imported: ${(cause as Error).message}`, cause);
  }
  if (module.default === undefined) throw wrongFile(file, 'has no default export');
  return module.default;
}

function wrongFile(file: string, what: string, cause?: unknown): PsError {
  return new PsError('PS_INVALID_ARGUMENT', `${file} ${what}`, { cause, details: { option: 'file' } });
}
