import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { PsError } from '../../../../src/core/base/errors.js';
import { clientCertificate } from '../../../../src/io/server/auth.js';
import { Worker } from '../../../../src/io/worker/node/worker.js';
import type { WorkerOptions } from '../../../../src/io/worker/workerOptions.js';
import { atEnd, listeningServer, newServer } from '../rawClient.js';
import { outcomeOf } from './rawUpgrade.js';

const pem = (name: string): string => readFileSync(new URL(`certificates/${name}`, import.meta.url), 'utf8');
const own = { key: pem('server.key'), cert: pem('server.crt') };
const ca = pem('ca.crt');

function newWorker(url: string, options: WorkerOptions): Worker {
  const worker = new Worker(url, { reconnect: false, ...options });
  atEnd(() => worker.close());
  return worker;
}

const outcomeOfConnect = (worker: Worker): Promise<string> =>
  worker.connect().then(
    () => 'connected',
    (error: PsError) => error.code,
  );

describe('TLS', () => {
  it('on a port of its own: the url says wss, and a worker that trusts the authority trains', async () => {
    const server = await listeningServer({ tls: own, auth: 'token' });
    expect(server.url).toMatch(/^wss:\/\/127\.0\.0\.1:\d+\/$/);
    const worker = newWorker(server.url, { tls: { ca }, token: 'token' });
    expect((await worker.push({ w: Float32Array.of(1, 2, 3, 4) })).outcome).toBe('applied');
    expect(await outcomeOfConnect(newWorker(server.url, { tls: { ca }, token: 'no' }))).toBe(
      'PS_UNAUTHORIZED',
    );
  });

  it('with an https.Server of the user’s', async () => {
    const https = createServer(own);
    https.listen(0, '127.0.0.1');
    await once(https, 'listening');
    atEnd(() => https.close());
    const server = newServer({ server: https });
    await server.listen();
    const { port } = https.address() as AddressInfo;
    const worker = newWorker(`wss://localhost:${port}/pslib`, { tls: { ca } });
    expect((await worker.pull()).version).toBe(0);
  });

  it('is refused by a worker that does not trust it, and not mistaken for plain text', async () => {
    const server = await listeningServer({ tls: own });
    expect(await outcomeOfConnect(newWorker(server.url, {}))).toBe('PS_CONNECT_FAILED');
    const other = newWorker(server.url, { tls: { ca, servername: 'example.org' } });
    expect(await outcomeOfConnect(other)).toBe('PS_CONNECT_FAILED');
    const plain = newWorker(server.url.replace('wss:', 'ws:'), {});
    expect(await outcomeOfConnect(plain)).toBe('PS_CONNECT_FAILED');
  });

  it('with a key that is none throws at once, and shows nothing of it', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----';
    for (const tls of [{ key, cert: own.cert }, { ...own, cert: 'x' }, 'yes' as never]) {
      expect(() => newServer({ port: 0, tls })).toThrow(/^tls must be/);
      expect(() => newServer({ port: 0, tls })).not.toThrow(/secret/);
    }
    expect(() => newServer({ noServer: true, tls: own })).toThrow(/^tls must be left out/);
  });
});

describe('client certificates', () => {
  const auth = clientCertificate(({ subject }) => ({ role: 'worker', id: String(subject.CN) }));
  const mutual = { ...own, ca, requestCert: true, rejectUnauthorized: false };
  const shown = { cert: pem('worker.crt'), key: pem('worker.key') };
  const stranger = { cert: pem('other.crt'), key: pem('other.key') };

  it('say who a worker is; one without, or of another authority, may not connect', async () => {
    const server = await listeningServer({ tls: mutual, auth });
    const connectAs = (id: string, certificate: object) =>
      outcomeOfConnect(newWorker(server.url, { id, tls: { ca, ...certificate } }));
    expect(await connectAs('w1', shown)).toBe('connected');
    expect(await connectAs('w2', shown)).toBe('PS_FORBIDDEN');
    expect(await connectAs('w1', {})).toBe('PS_UNAUTHORIZED');
    // The same name, but it vouches for itself.
    expect(await connectAs('w1', stranger)).toBe('PS_UNAUTHORIZED');
  });

  it('that the server does not take end the handshake where rejectUnauthorized is left on', async () => {
    const server = await listeningServer({ tls: { ...mutual, rejectUnauthorized: true }, auth });
    const worker = newWorker(server.url, { id: 'w1', tls: { ca, ...stranger } });
    expect(await outcomeOfConnect(worker)).toBe('PS_CONNECT_FAILED');
    expect(await outcomeOfConnect(newWorker(server.url, { id: 'w1', tls: { ca, ...shown } }))).toBe(
      'connected',
    );
  });

  it('let in exactly those that the rules let in: certificate × origin × subprotocol', async () => {
    const server = await listeningServer({ tls: mutual, auth, allowedOrigins: ['https://good.example'] });
    const certificates = { right: shown, 'of another authority': stranger, none: {} };
    const origins = { none: {}, listed: 'https://good.example', 'not listed': 'https://bad.example' };
    for (const [certificate, own] of Object.entries(certificates)) {
      for (const [origin, Origin] of Object.entries(origins)) {
        for (const subprotocol of ['pslib.v1', 'pslib.v1.stream']) {
          const outcome = await outcomeOf({
            url: server.url,
            subprotocols: [subprotocol],
            headers: typeof Origin === 'string' ? { Origin } : {},
            hello: { worker: 'w1', readOnly: true },
            tls: { ca, ...own },
          });
          const seesNoStatus = origin === 'listed' && subprotocol === 'pslib.v1';
          const refusal = seesNoStatus ? 'closed 4401' : 'HTTP 401';
          const judged = certificate === 'right' ? 'welcome' : refusal;
          const expected = origin === 'not listed' ? 'HTTP 403' : judged;
          const row = { certificate, origin, subprotocol };
          expect({ ...row, outcome }).toEqual({ ...row, outcome: expected });
        }
      }
    }
  });

  it('are asked for in vain on a plain port', async () => {
    const server = await listeningServer({ auth });
    expect(await outcomeOf({ url: server.url, subprotocols: ['pslib.v1'] })).toBe('HTTP 401');
  });
});
