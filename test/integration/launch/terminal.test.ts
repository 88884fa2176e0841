/** `pslib launch` on a terminal: the status line, how training goes in it, and a Ctrl-C that is typed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const index = new URL('../../../src/index.ts', import.meta.url).href;

/** A server, or a worker that takes small steps until it is told to end. */
const program = `
  import { once } from 'node:events';
  import { setImmediate as turn } from 'node:timers/promises';
  const { fromEnvironment, ParameterServer, Worker } = await import('${index}');
  const place = await fromEnvironment();
  if (place.role === 'server') {
    const server = new ParameterServer({ parameters: { w: { shape: [2] } }, ...place.serverOptions });
    await server.listen();
    await once(process, 'SIGTERM');
    await server.close();
  } else {
    const worker = new Worker(place.servers, place.workerOptions);
    const step = async () => {
      await turn();
      return { gradients: { w: Float32Array.of(1, 1) }, metrics: { loss: 0.25 } };
    };
    await worker.run(step, { steps: 1e6 });
  }`;

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.log('there is no script(1) here that makes a terminal');

test.skipIf(!hasScript && !process.env.CI)('says how the processes and the training do', async () => {
  const words = [process.execPath, '--import', 'tsx', main, 'launch', '--workers', '2', '--'];
  const command = [...words, process.execPath, '--import', 'tsx', '--input-type=module', '-e', program];
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const terminal = spawn('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], {
    env: { ...process.env, COLUMNS: '100', LINES: '20', SHELL: '/bin/sh', TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  let isInterrupted = false;
  terminal.stdout.on('data', (bytes: Buffer) => {
    shown += bytes;
    if (isInterrupted || !/servers ● {3}workers ●● {3}minClock [1-9]\d* {2}\d+ updates\/s/.test(shown))
      return;
    isInterrupted = true;
    terminal.stdin.write('\u0003');
  });
  const [code] = await once(terminal, 'exit');
  expect(code, shown).toBe(130);
  expect(shown).toContain('loss 0.250');
  expect(shown).toMatch(/stopping: SIGINT was received/);
  expect(shown).toMatch(/ended with exit code 130/);
  // The cursor is back.
  expect(shown.lastIndexOf('\u001b[?25h')).toBeGreaterThan(shown.lastIndexOf('\u001b[?25l'));
});
