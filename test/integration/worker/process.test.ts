import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';

// What a whole process sees: that nothing is printed, that it ends, and that nothing crashes it.

const root = new URL('../../../', import.meta.url);

/** Runs a program with `Worker`, `ParameterServer` and `parameters` at hand; resolves when it ends by itself. */
function run(body: string): Promise<{ code: number | null; output: string }> {
  const program = `
    import { ParameterServer } from './src/io/server/parameterServer.ts';
    import { Worker } from './src/io/worker/node/worker.ts';
    const parameters = { w: { shape: [2] } };
    ${body}
  `;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    cwd: root,
  });
  return new Promise((resolve) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes) => (output += String(bytes)));
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe('a process', () => {
  it('ends by itself when its worker and server are closed, and nothing was printed', async () => {
    const ended = await run(`
      const server = new ParameterServer({ parameters, port: 0 });
      await server.listen();
      const worker = new Worker(server.url);
      await worker.run(() => ({ gradients: { w: new Float32Array(2) } }), { steps: 3 });
      await worker.close();
      await server.close();
    `);
    expect(ended).toEqual({ code: 0, output: '' });
  });

  it('is not ended by rejections that nobody awaits', async () => {
    const ended = await run(`
      const never = new Worker('ws://127.0.0.1:9', { reconnect: false });
      void never.connect();
      void never.pull();
      const server = new ParameterServer({ parameters, port: 0 });
      await server.listen();
      const worker = new Worker(server.url, { reconnect: { maxOfflineMs: 50 } });
      await worker.connect();
      void worker.pull(['nope']);
      void worker.push({ w: new Float32Array(3) });
      void worker.push({ w: Float32Array.of(NaN, 0) });
      void worker.pushPull({ w: Float32Array.of(NaN, 0) });
      void worker.run(() => { throw new Error('mine'); }, { steps: 1 });
      void worker.run(() => ({ gradients: {} }), { signal: AbortSignal.abort() });
      await server.close();
      void worker.pull();
      void worker.push({ w: new Float32Array(2) });
      await new Promise((resolve) => worker.on('close', resolve));
      void worker.tick();
    `);
    expect(ended).toEqual({ code: 0, output: '' });
  });
});
