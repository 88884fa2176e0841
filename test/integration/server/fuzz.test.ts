import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Worker } from '../../../src/io/worker/node/worker.js';
import { EFFORT, Mutator, SEED } from '../../fuzz/mutate.js';
import { atEnd, listeningServer } from './rawClient.js';
import { helloOf, openRaw, wsFrame } from './rawSocket.js';

// Mutated frames to a live server over real sockets, while a worker trains. Attackers read nothing of what they are
// told and come back when they are closed.

const FRAMES = 5000 * EFFORT;
const TOKENS = {
  honest: { role: 'worker' },
  reader: { role: 'reader' },
  worker: { role: 'worker' },
} as const;
const STEPS = 200;

/** One attacker's next bytes: mostly a whole frame, sometimes a wrong WebSocket frame. */
function bytesOf(mutator: Mutator): Buffer {
  const frame = mutator.next();
  switch (mutator.below(16)) {
    case 0: // text, a fragment, a continuation of nothing, ping, reserved bits, unknown opcodes
      return wsFrame(frame, mutator.pick([0x81, 0x02, 0x80, 0x00, 0x89, 0x8a, 0xc2, 0xf2, 0x83, 0x8f]));
    case 1: // not masked
      return Buffer.concat([Buffer.of(0x82, Math.min(125, frame.length)), frame.subarray(0, 125)]);
    case 2: // cut off
      return wsFrame(frame).subarray(0, mutator.below(frame.length));
    case 3: {
      const whole = wsFrame(frame);
      whole[1 + mutator.below(6)] = mutator.below(256);
      return whole;
    }
    case 4:
      return Buffer.from(frame);
    default:
      return wsFrame(frame);
  }
}

async function attack(
  url: string,
  mutator: Mutator,
  role: 'reader' | 'worker',
  frames: number,
): Promise<number> {
  let connections = 0;
  let socket: Socket | undefined;
  for (let sent = 0; sent < frames; sent++) {
    if (socket === undefined || socket.destroyed || !socket.writable) {
      const subprotocol = mutator.pick(['pslib.v1', 'pslib.v1.stream']);
      socket = await openRaw(url, { subprotocol, token: role });
      socket.resume();
      connections++;
      if (mutator.below(8) !== 0) socket.write(helloOf(`${role}-${connections}`, role === 'reader'));
    }
    socket.write(bytesOf(mutator));
    // Now and then the server is heard before more is said: whether the connection still stands.
    if (mutator.below(4) === 0) await new Promise((resolve) => setImmediate(resolve));
    if (mutator.below(60) === 0) socket.destroy();
  }
  socket?.destroy();
  return connections;
}

describe.each(['reader', 'worker'] as const)('%ss that send mutated frames to a live server', (role) => {
  it('harm nobody', async () => {
    const errors: unknown[] = [];
    const tables = { words: { dim: 2 }, few: { dim: 1, maxRows: 3 } };
    const server = await listeningServer({ auth: TOKENS, tables, limits: { leaseMs: 60_000 } });
    server.on('error', (error: unknown) => errors.push(error));
    const worker = new Worker(server.url, { id: 'honest', token: 'honest', reconnect: false });
    atEnd(() => worker.close());
    await worker.connect();
    const before = process.memoryUsage();
    const mutators = [1, 2, 3, 4].map((i) => new Mutator(SEED + 100 * i + role.length));
    const attacks = mutators.map((each) => attack(server.url, each, role, FRAMES / 8));
    const push = { w: Float32Array.of(-1, -1, -1, -1) };
    const answers = [];
    for (let step = 0; step < STEPS; step++) answers.push((await worker.push(push)).outcome);
    const connections = (await Promise.all(attacks)).reduce((sum, each) => sum + each, 0);
    expect(new Set(answers)).toEqual(new Set(['applied']));
    expect(errors).toEqual([]);
    const { tensors, version } = await server.parameters();
    if (role === 'reader') {
      // Nobody but the honest one has changed anything.
      expect([version, ...(tensors.w?.data ?? [])]).toEqual([STEPS, STEPS, STEPS, STEPS, STEPS]);
    } else {
      expect(tensors.w?.data.every(Number.isFinite)).toBe(true);
    }
    expect(connections).toBeGreaterThan(10);
    expect(server.stats().stagingBytes).toBe(0);
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    expect(arrayBuffers - before.arrayBuffers).toBeLessThan(128e6);
    expect(heapUsed - before.heapUsed).toBeLessThan(128e6);
    // It still serves whoever comes.
    const late = new Worker(server.url, { token: 'honest', reconnect: false });
    atEnd(() => late.close());
    expect((await late.pull()).version).toBeGreaterThanOrEqual(STEPS);
  });
});
