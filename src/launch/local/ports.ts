/**
 * Ports for servers of this machine that stay theirs across restarts. They lie below the range from which
 * systems take the ports of outgoing connections, or a connection of a worker could sit on the port of a
 * server that is being started again.
 */
import { createServer } from 'node:net';
import { PsError } from '../../core/base/errors.js';

const FIRST = 20_000;
const LAST = 32_000;
const MAX_TRIES = 200;

/**
 * `count` ports that are free on `host` now: `base` and those behind it, or where none is given, any. Rejects with
 * `PS_CONNECT_FAILED`.
 */
export async function freePorts(count: number, host: string, base: number | undefined): Promise<number[]> {
  if (base !== undefined) {
    const ports = Array.from({ length: count }, (_, i) => base + i);
    for (const port of ports) {
      const reason = await refusalOf(port, host);
      if (reason !== undefined) throw new PsError('PS_CONNECT_FAILED', `port ${port} of ${host}: ${reason}`);
    }
    return ports;
  }
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries++) {
    if (tries > MAX_TRIES + 4 * count) throw new PsError('PS_CONNECT_FAILED', `no free ports on ${host}`);
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (!ports.has(port) && (await refusalOf(port, host)) === undefined) ports.add(port);
  }
  return [...ports];
}

function refusalOf(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error.message));
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}
