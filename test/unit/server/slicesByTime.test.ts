/** A slice of an update ends after a few milliseconds, however few elements it got through. */
import { expect, it } from 'vitest';
import { TestServer, type TestServerOptions } from './kit.js';

const LENGTH = 200_000;

/** Turns that an update of the whole model takes, the one of the push among them. */
function turnsOf(stopwatch: NonNullable<TestServerOptions['stopwatch']>): number {
  const server = new TestServer({ parameters: { w: { shape: [LENGTH] } }, stopwatch });
  const worker = server.worker('a');
  server.isContinuing = false;
  worker.push(new Array(LENGTH).fill(1));
  let turns = 1;
  while (server.proceed()) turns++;
  expect(server.version).toBe(1);
  return turns;
}

it('takes more turns where elements take longer, and gets on in each of them', () => {
  let time = 0;
  expect(turnsOf(() => time)).toBe(1);
  expect(
    turnsOf(() => {
      time += 1000;
      return time;
    }),
  ).toBe(4);
});
