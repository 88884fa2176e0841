/** Updates of models that are not large, written where the values are: nobody ever sees one that is half done. */
import { describe, expect, it, vi } from 'vitest';
import { TestServer } from './kit.js';

const LENGTH = 1000;

vi.mock('../../../src/core/table/job.js', async (original) => ({
  ...(await original<object>()),
  SLICE_ELEMENTS: 256,
  IN_PLACE_ELEMENTS: 1000,
}));

const all = (value: number): number[] => Array.from({ length: LENGTH }, () => value);

function newServer() {
  const server = new TestServer({ parameters: { w: { shape: [LENGTH] } } });
  const [a, b] = [server.worker('a'), server.worker('b')];
  server.isContinuing = false;
  const shown = (): string[] => b.lines().map((line) => line.replace(/\[(\S+)( \1)*\]/, '[all $1]'));
  return { server, a, b, shown };
}

describe('an update in place', () => {
  it('of several turns makes pulls wait for its end', () => {
    const { server, a, b, shown } = newServer();
    a.push(all(1), { tick: true });
    b.look();
    while (server.version === 0) {
      expect(shown()).toEqual([]);
      expect(server.proceed()).toBe(true);
    }
    expect(shown()).toEqual(['pull 1: v1 [all -1]']);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 1']);
  });

  it('is not made where somebody reads: he keeps what he began with', () => {
    const { server, a, b, shown } = newServer();
    b.isReading = false;
    b.look();
    a.push(all(1));
    while (server.version === 0) server.proceed();
    b.read();
    expect(shown()).toEqual(['pull 1: v0 [all 0]']);
  });
});
