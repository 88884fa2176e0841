/** Readers that do not read: they hold a version, not the others. */
import { expect, it } from 'vitest';
import { eventOf, listeningServer, RawClient } from './rawClient.js';

/** Of 24 MB: more than a socket and its window take at once. */
const LENGTH = 6_000_000;
const parameters = { w: { shape: [LENGTH] }, b: { shape: [1] } };

/** Asks for everything and reads nothing. */
async function slowReader(url: string, id: string): Promise<RawClient> {
  const client = await RawClient.join(url, id, { readOnly: true });
  client.ask();
  await client.nextText();
  client.socket.pause();
  return client;
}

it('one that does not read leaves the others undisturbed, and gets one version in the end', async () => {
  const server = await listeningServer({ parameters });
  const slow = await slowReader(server.url, 'slow');
  const worker = await RawClient.join(server.url, 'a');
  for (let i = 1; i <= 3; i++) {
    expect(await worker.push([1], { tensors: [1] })).toBe(`applied v${i}`);
    expect(await worker.pull({ tensors: [1] })).toEqual([-i]);
  }
  expect(server.stats().pinnedVersions).toBe(1);
  slow.socket.resume();
  let [bytes, last] = [0, 0];
  while (bytes < (LENGTH + 1) * 4) {
    const { payload } = await slow.next();
    bytes += payload.length;
    last = new Float32Array(payload.slice().buffer).at(-1) as number;
  }
  expect(last).toBe(0);
  await expect.poll(() => server.stats().pinnedVersions).toBe(0);
});

it('those that hold all versions and do not read are cut off, and who waits is answered', async () => {
  const server = await listeningServer({ parameters, limits: { pinnedVersions: 1, rateWindowMs: 300 } });
  const warning = eventOf(server, 'warning');
  const slow = await slowReader(server.url, 'slow');
  const worker = await RawClient.join(server.url, 'a');
  expect(await worker.push([1], { tensors: [1] })).toBe('applied v1');
  expect(await worker.pull({ tensors: [1], training: true })).toEqual([-1]);
  expect(await warning).toMatchObject({ message: expect.stringContaining('reads too slowly') });
  slow.socket.resume();
  await slow.closed;
});
