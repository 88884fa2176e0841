/**
 * The variables of an environment, read strictly: a value that is missing, malformed or that contradicts
 * another one is `PS_ENVIRONMENT`, with the variable's name. Nothing here knows a scheduler.
 */
import { describe, PsError } from '../../core/base/errors.js';

/** Variables by name, as in `process.env`; an empty one counts as not set. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** `PS_ENVIRONMENT` about `variable`. */
export function environmentError(variable: string, message: string): PsError {
  return new PsError('PS_ENVIRONMENT', message, { details: { option: variable } });
}

/** The value of `name`; undefined if it is not set or empty. */
export function optional(variables: Variables, name: string): string | undefined {
  const value = variables[name]?.trim();
  return value === '' ? undefined : value;
}

/** The value of `name`. Throws if it is not set; `reason` says why it is needed. */
export function required(variables: Variables, name: string, reason: string): string {
  const value = optional(variables, name);
  if (value === undefined) throw environmentError(name, `${name} is not set: ${reason}`);
  return value;
}

/** `text` as an integer from `least` to `most`. Throws and names `name` otherwise. */
export function integerOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw environmentError(name, `${name} must be an integer from ${least} to ${most}, got ${describe(text)}`);
}

/** The integer in `name`, or `otherwise` if it is not set. */
export function integerOr(
  variables: Variables,
  name: string,
  otherwise: number,
  [least, most]: readonly [number, number],
): number {
  const text = optional(variables, name);
  return text === undefined ? otherwise : integerOf(name, text, least, most);
}

/** More processes than this of one role are a mistake. */
export const MAX_PROCESSES = 65_536;

/** The port of the first server where nothing else says which. */
export const DEFAULT_PORT = 7077;

/** The role in `PSLIB_ROLE`; undefined if it is not set. */
export function roleOf(variables: Variables): 'server' | 'worker' | undefined {
  const role = optional(variables, 'PSLIB_ROLE');
  if (role === undefined || role === 'server' || role === 'worker') return role;
  throw environmentError('PSLIB_ROLE', `PSLIB_ROLE must be "server" or "worker", got ${describe(role)}`);
}

/** The urls in `PSLIB_SERVERS`; undefined if it is not set. Throws if one is none, or stands there twice. */
export function urlsOf(variables: Variables): string[] | undefined {
  const text = optional(variables, 'PSLIB_SERVERS');
  if (text === undefined) return undefined;
  const urls = text.split(/[\s,]+/).filter((url) => url !== '');
  const seen = new Set<string>();
  for (const url of urls) {
    if (!isSocketUrl(url)) {
      throw environmentError(
        'PSLIB_SERVERS',
        `PSLIB_SERVERS must hold ws: or wss: urls, got ${describe(url)}`,
      );
    }
    const { href } = new URL(url);
    if (seen.has(href)) throw environmentError('PSLIB_SERVERS', `PSLIB_SERVERS names ${url} twice`);
    seen.add(href);
  }
  return urls;
}

function isSocketUrl(text: string): boolean {
  try {
    return /^wss?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}
