import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// What a guest must not do: print, install handlers, keep the process, exit it.

const program = `
const { ParameterServer } = await import('./src/io/server/parameterServer.ts');
const { Worker } = await import('./src/io/worker/node/worker.ts');
const names = ['uncaughtException', 'unhandledRejection', 'SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'beforeExit', 'warning'];
const handlers = () => names.map((name) => process.listenerCount(name)).join();
const before = handlers();
for (const auth of [undefined, async () => ({ role: 'worker' })]) {
  const server = new ParameterServer({ parameters: { w: { shape: [4] } }, port: 0, ...(auth && { auth }) });
  await server.listen();
  const workers = [new Worker(server.url), new Worker(server.url, { readOnly: true })];
  await workers[0].run(() => ({ gradients: { w: new Float32Array(4) } }), { steps: 3 });
  await workers[1].pull();
  // One that is refused, one that nobody awaits, one that is lost.
  await workers[0].push({ w: Float32Array.of(NaN, 0, 0, 0) }).catch(() => {});
  void new Worker(server.url, { token: 'x', reconnect: false }).pull(['nothing']);
  const lost = new Worker(server.url, { reconnect: false });
  await lost.connect();
  for (const worker of workers) await worker.close();
  await server.close();
}
if (handlers() !== before) throw new Error('handlers: ' + before + ' became ' + handlers());
process.on('exit', () => process.stdout.write('ended by itself'));
`;

it('it prints nothing, adds no handlers, and lets the process end when it is closed', async () => {
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  const run = promisify(execFile)(process.execPath, args, { cwd, timeout: 60_000 });
  expect(await run).toEqual({ stdout: 'ended by itself', stderr: '' });
});
