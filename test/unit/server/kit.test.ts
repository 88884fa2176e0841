import { expect, it } from 'vitest';
import { TestServer } from './kit.js';

it('reads as a transcript', () => {
  const server = new TestServer();
  const a = server.stranger('a');
  a.hello();
  a.pull();
  a.push([1, 2, 3, 4], { tick: true, chunk: 3 });
  a.pull({ tensors: [0] });
  expect(a.lines()).toEqual([
    'welcome epoch 1, clock 0, committed 0',
    'pull 1: v0 [0 0 0 0]',
    'push 1 applied v1, clock 1',
    'pull 2: v1 [-1 -2 -3 -4]',
  ]);
  expect(server.table).toBe('a@1');
});
