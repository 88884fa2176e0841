/**
 * The parameter servers that are attached to one HTTP server of the user's. Upgrade requests of paths that none of them
 * has are for others. Where nobody else listens for upgrades, nobody would ever answer them, and their sockets would stay
 * open for good, also when that server is closed: then they are answered 404.
 */
import type { Server as HttpServer } from 'node:http';

const pathsOf = new WeakMap<HttpServer, string[]>();

/** `path` of `server` is a parameter server's from now on. */
export function attached(server: HttpServer, path: string): void {
  pathsOf.set(server, [...(pathsOf.get(server) ?? []), path]);
}

/** It is no more. */
export function detached(server: HttpServer, path: string): void {
  const paths = pathsOf.get(server) ?? [];
  const at = paths.indexOf(path);
  pathsOf.set(
    server,
    paths.filter((_path, i) => i !== at),
  );
}

/** Whether nobody who listens for upgrades on `server` answers for `path`. */
export function isNobodys(server: HttpServer, path: string): boolean {
  const paths = pathsOf.get(server) ?? [];
  return server.listenerCount('upgrade') <= paths.length && !paths.includes(path);
}
