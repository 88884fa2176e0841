/** What an HTTP status instead of an upgrade means: the close code that stands for it, and what its reader should know. */

const MEANINGS: ReadonlyMap<number, string> = new Map([
  [
    400,
    'no parameter server took the request: is the path right, and does another WebSocket server leave it alone?',
  ],
  [401, 'it wants a token, and this is none that it knows'],
  [403, 'this machine, or the page’s origin, may not connect'],
  [404, 'there is no parameter server at this path'],
  [429, 'there are too many connections from this address'],
  [503, 'it has no room now, or is not ready'],
]);

/** Of a request that was answered with `status`. */
export function refusalOf(status: number): { readonly code: number; readonly reason: string } {
  const meaning = MEANINGS.get(status);
  return {
    code: status === 401 || status === 403 ? 4000 + status : 1006,
    reason: `the server answered HTTP ${status} to the upgrade${meaning === undefined ? '' : `: ${meaning}`}`,
  };
}
