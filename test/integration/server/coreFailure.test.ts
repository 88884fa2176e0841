import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ServerCore } from '../../../src/core/server/serverCore.js';
import { ParameterServer } from '../../../src/index.js';

// So large that a copy of it takes several turns.
const parameters = { w: { shape: [4_000_000] } } as const;

const root = mkdtempSync(join(tmpdir(), 'pslib-failure-'));

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true, force: true });
});

/** From now on the core of every server throws: a bug of ours. */
function breakCores(): void {
  vi.spyOn(ServerCore.prototype, 'step').mockImplementation(() => {
    throw new Error('an invariant is broken');
  });
}

/** What became of each promise: the code that it rejected with, or "resolved". */
async function outcomes(promises: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((each) => (each.status === 'fulfilled' ? 'resolved' : each.reason.code));
}

describe('a server whose core fails', () => {
  it.each(['journal', 'checkpoint'] as const)(
    'tells everyone who waits for something of it, and still closes (%s)',
    async (durability) => {
      const dataDir = join(root, durability);
      const server = new ParameterServer({ parameters, port: 0, dataDir, durability });
      const errors: string[] = [];
      server.on('error', ({ code }) => errors.push(code));
      await server.listen();
      const dataset = server.tasks.dataset({ size: 10, shardSize: 5 });
      const results = server.tasks.map([1, 2, 3]);
      const waiting = [
        server.parameters(),
        server.checkpoint(),
        server.checkpoint(),
        server.checkpoint(join(root, 'copy.safetensors')),
        server.setLearningRate(0.5),
        dataset.finished,
        results.next(),
      ];
      breakCores();
      const found = await outcomes(waiting);
      expect(errors).toEqual(['PS_INTERNAL']);
      expect(new Set(found)).toEqual(new Set(['PS_INTERNAL']));
      const late = [server.parameters(), server.checkpoint(), server.setLearningRate(1), server.evict('a')];
      expect(new Set(await outcomes(late))).toEqual(new Set(['PS_INTERNAL']));
      expect(() => server.tasks.map([1])).toThrow(expect.objectContaining({ code: 'PS_INTERNAL' }));
      await outcomes([server.close()]);

      vi.restoreAllMocks();
      const next = new ParameterServer({ parameters, port: 0, dataDir, durability });
      await next.listen();
      expect((await next.parameters()).version).toBe(0);
      await next.close();
    },
    300_000,
  );

  it('does not listen if it fails while it recovers', async () => {
    vi.spyOn(ServerCore.prototype, 'recovered').mockImplementation(() => {
      throw new Error('an invariant is broken');
    });
    const server = new ParameterServer({ parameters, port: 0, dataDir: join(root, 'recovered') });
    await expect(server.listen()).rejects.toMatchObject({ code: 'PS_INTERNAL' });
    await server.close();
  }, 300_000);
});
