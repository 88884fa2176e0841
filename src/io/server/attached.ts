/**
 * The parameter servers that are attached to one HTTP server of the user's. Upgrade requests of paths that none of them
 * has are for others. Where nobody else listens for upgrades, nobody would ever answer them, and their sockets would stay
 * open for good, also when that server is closed: then they are answered 404.
 */
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** What listens for upgrades. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

interface Attached {
  readonly pathOf: Map<UpgradeListener, string>;
  /** The first to hear of a request: whoever takes it may go away in doing so. */
  readonly note: UpgradeListener;
}

const attachedTo = new WeakMap<HttpServer, Attached>();
/** Requests that somebody else listened for when they came. */
const forOthers = new WeakSet<IncomingMessage>();

/** `listener` answers for `path` of `server` from now on. */
export function attach(server: HttpServer, path: string, listener: UpgradeListener): void {
  let attached = attachedTo.get(server);
  // The user may have removed all listeners.
  if (attached === undefined || !server.listeners('upgrade').includes(attached.note)) {
    const pathOf = new Map<UpgradeListener, string>();
    const note: UpgradeListener = (request) => {
      const isOurs = (each: unknown): boolean => each === note || pathOf.has(each as UpgradeListener);
      if (!server.listeners('upgrade').every(isOurs)) forOthers.add(request);
    };
    attached = { pathOf, note };
    attachedTo.set(server, attached);
    server.prependListener('upgrade', note);
  }
  attached.pathOf.set(listener, path);
  server.on('upgrade', listener);
}

/** It does no more. */
export function detach(server: HttpServer, listener: UpgradeListener): void {
  server.off('upgrade', listener);
  const attached = attachedTo.get(server);
  if (attached === undefined) return;
  attached.pathOf.delete(listener);
  if (attached.pathOf.size > 0) return;
  server.off('upgrade', attached.note);
  attachedTo.delete(server);
}

/** Whether nobody who listened for upgrades on `server` when `request` came answers for `path`. */
export function isNobodys(server: HttpServer, request: IncomingMessage, path: string): boolean {
  if (forOthers.has(request)) return false;
  return ![...(attachedTo.get(server)?.pathOf.values() ?? [])].includes(path);
}
