import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectFile } from '../../../src/cli/inspectFile.js';
import { adam, ParameterServer, Worker } from '../../../src/index.js';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
let root: string;
let checkpoint: string;
let segment: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'pslib-inspect-'));
  const dataDir = join(root, 'state');
  const parameters = { w: { shape: [2, 3] } } as const;
  const server = new ParameterServer({ parameters, optimizer: adam(), port: 0, dataDir });
  await server.listen();
  const worker = new Worker<typeof parameters>(server.url, { id: 'ada' });
  await worker.connect();
  for (let i = 0; i < 3; i++) await worker.push({ w: new Float32Array(6).fill(i + 1) });
  await server.checkpoint();
  await worker.push({ w: new Float32Array(6).fill(1) });
  await worker.close();
  await server.close();
  const files = readdirSync(dataDir).sort();
  checkpoint = join(dataDir, files.filter((name) => name.endsWith('.safetensors')).at(-1) as string);
  segment = join(dataDir, files.find((name) => name.endsWith('.pslog')) as string);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The file at `path` with one bit of byte `at` changed. */
function damaged(path: string, at: number): string {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] as number) ^ 4;
  const copy = join(root, 'damaged');
  writeFileSync(copy, bytes);
  return copy;
}

describe('pslib inspect', () => {
  it('shows what is in a checkpoint', async () => {
    const { lines, isWhole } = await inspectFile(checkpoint, false);
    const text = lines.join('\n');
    expect(isWhole).toBe(true);
    expect(text).toMatch(/^verifies +yes$/m);
    expect(text).toMatch(/^version +3 updates$/m);
    expect(text).toMatch(/^optimizer +adam, learning rate 0.001, slots \[firstMoment, secondMoment\]$/m);
    expect(text).toMatch(/^ {2}ada +epoch 1 +clock 0 +3 pushes +training$/m);
    expect(text).toMatch(/^w +F32 +\[2, 3\] +24$/m);
  });

  it('shows no secret of a session', async () => {
    const state = JSON.parse(
      /"state":("(?:[^"\\]|\\.)*")/.exec(readFileSync(checkpoint, 'latin1'))?.[1] ?? '',
    ) as string;
    const [{ key }] = (JSON.parse(state) as { meta: { sessions: [{ key: string }] } }).meta.sessions;
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    for (const path of [checkpoint, segment]) {
      expect((await inspectFile(path, true)).lines.join('\n')).not.toContain(key);
    }
  });

  it('shows what is in a journal segment, record by record if asked', async () => {
    const short = await inspectFile(segment, false);
    expect(short.isWhole).toBe(true);
    expect(short.lines.join('\n')).toMatch(/^records +1 to 5: 1 session, 1 enter, 3 push$/m);
    const { lines } = await inspectFile(segment, true);
    expect(lines).toContain('3  push     ada push 1 of clock 0 applied, delay 0, 6 values');
  });

  it('finds damage in either', async () => {
    const tensor = await inspectFile(damaged(checkpoint, readFileSync(checkpoint).length - 30), false);
    expect(tensor.isWhole).toBe(false);
    expect(tensor.lines.join('\n')).toMatch(/^verifies +NO: its data are damaged$/m);
    const header = await inspectFile(damaged(checkpoint, 100), false);
    expect(header.isWhole).toBe(false);
    const record = await inspectFile(damaged(segment, 100), false);
    expect(record.isWhole).toBe(false);
    expect(record.lines.join('\n')).toMatch(/^damage +[\d,]+ bytes behind record 0 were durable once/m);
    // Behind the last record there may be zeros, and its values end with a checksum.
    const used = Buffer.from(readFileSync(segment).toString('latin1').replace(/\0+$/, ''), 'latin1').length;
    const end = await inspectFile(damaged(segment, used - 10), false);
    expect(end.lines.join('\n')).toMatch(/^damage +a torn end: [\d,]+ bytes behind record 4/m);
  });

  it.each([
    ['a whole file', () => checkpoint, 0, 'verifies'],
    ['a damaged one', () => damaged(checkpoint, 200), 1, ''],
    ['another file', () => main, 1, 'not a safetensors file'],
    ['none', () => join(root, 'nothing'), 1, 'ENOENT'],
  ])('ends with an exit code that says whether it verifies: %s', (_name, path, code, text) => {
    const args = ['--import', 'tsx', main, 'inspect', path()];
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stdout).toContain(text);
    expect(status).toBe(code);
  });
});
