/**
 * Where a worker's servers are: one url, several in any order, or a function that is asked before each connection
 * and may say something else each time, since servers move.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';

/** Where the server is, or the servers are that hold the shards of one model; or a function that says so. */
export type WorkerUrl =
  | string
  | readonly string[]
  | (() => string | readonly string[] | Promise<string | readonly string[]>);

/** The url to connect to server `server`, and how many servers there are. */
export type ServerUrls = (server: number) => Promise<{ readonly url: string; readonly urls: number }>;

/** The urls of `given`. Throws `PS_INVALID_ARGUMENT` at once if a given url can't be one; a function's rejects. */
export function serverUrls(given: WorkerUrl): ServerUrls {
  const fixed = typeof given === 'function' ? undefined : checkUrls(given);
  /** What each server was last found at: a list in another order is no reason to look elsewhere. */
  const found: { readonly url: string; readonly position: number }[] = [];
  return async (server) => {
    const urls = fixed ?? checkUrls(await (given as () => unknown)());
    // Those of a larger group that was are nobody's.
    found.length = Math.min(found.length, urls.length);
    const isFree = (url: string | undefined): boolean =>
      url !== undefined && !found.some((other, i) => i !== server && other?.url === url);
    const before = found[server];
    // Where it was, else what stands at its place in the list now, else one that is nobody else's.
    const candidates = [before?.url, urls[before?.position ?? server], urls.find(isFree)];
    const url = candidates.find((each) => each !== undefined && urls.includes(each) && isFree(each));
    if (url === undefined || server >= urls.length) {
      throw new PsError(
        'PS_MODEL_MISMATCH',
        `the model is held by more servers than the ${urls.length} given`,
      );
    }
    found[server] = { url, position: urls.indexOf(url) };
    return { url, urls: urls.length };
  };
}

/** Whether a worker with this url may have several servers. */
export function mayBeGroup(given: WorkerUrl): boolean {
  return typeof given === 'function' || (Array.isArray(given) && given.length > 1);
}

function checkUrls(given: unknown): readonly string[] {
  const urls: unknown[] = Array.isArray(given) ? given : [given];
  if (urls.length === 0) throw invalidArgument('url', given, 'a ws: or wss: url, or several');
  for (const [i, url] of urls.entries()) {
    const name = urls.length === 1 ? 'url' : `url[${i}]`;
    if (!isSocketUrl(url)) throw invalidArgument(name, url, 'a ws: or wss: url');
    if (urls.indexOf(url) !== i) throw invalidArgument(name, url, 'different from the others');
  }
  return urls as string[];
}

function isSocketUrl(given: unknown): given is string {
  if (typeof given !== 'string') return false;
  try {
    const { protocol, hash } = new URL(given);
    return (protocol === 'ws:' || protocol === 'wss:') && hash === '';
  } catch {
    return false;
  }
}
