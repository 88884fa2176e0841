import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SUBPROTOCOL } from '../../src/core/protocol/messages.js';
import {
  connectNowhere,
  connectPair,
  type End,
  KINDS,
  type Kind,
  Listener,
  MAX_MESSAGE_BYTES,
  type Pair,
} from './transportEnds.js';

// One suite, held by every transport: what `Transport` promises, nothing of how.

const SIZES = [0, 1, 4, 125, 126, 1000, 16_384, 65_535, 65_536, 200_000, 1_048_576, 3_000_000];

function payloadOf(number: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) payload[i] = number * 31 + i * 7;
  return payload;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

describe.each(KINDS)('$name', (kind: Kind) => {
  const listener = new Listener();
  const pairs: Pair[] = [];
  let url = '';

  beforeAll(async () => {
    url = await listener.listen();
  });

  afterEach(async () => {
    listener.refusal = undefined;
    for (const { near, far } of pairs.splice(0)) {
      near.transport?.terminate();
      far.transport?.terminate();
      await Promise.all([near.untilClosed(), far.untilClosed()]);
    }
  });

  afterAll(() => listener.close());

  async function open(): Promise<Pair> {
    const pair = await connectPair(kind, listener, url);
    pairs.push(pair);
    return pair;
  }

  /** The two directions of a pair. */
  function directions({ near, far }: Pair): [from: End, to: End][] {
    return [
      [near, far],
      [far, near],
    ];
  }

  it('carries messages of any size, whole and in order, both ways at once', async () => {
    const pair = await open();
    for (const [from] of directions(pair)) {
      for (const [number, bytes] of SIZES.entries()) void from.send(number, payloadOf(number, bytes));
    }
    for (const [, to] of directions(pair)) {
      await to.untilReceived(SIZES.length);
      expect(to.received.map(({ message }) => message)).toMatchObject(SIZES.map((_, offset) => ({ offset })));
      for (const [number, bytes] of SIZES.entries()) {
        expect(isEqual(to.received[number]?.payload as Uint8Array, payloadOf(number, bytes))).toBe(true);
      }
    }
  });

  it('carries many small messages', async () => {
    const { near, far } = await open();
    for (let number = 0; number < 3000; number++) void near.send(number, payloadOf(number, number % 50));
    await far.untilReceived(3000);
    expect(far.received.every(({ message }, i) => (message as { offset: number }).offset === i)).toBe(true);
    expect(far.received.every(({ payload }, i) => isEqual(payload, payloadOf(i, i % 50)))).toBe(true);
  });

  it('says once of each message that it was taken, and buffers nothing then', async () => {
    const { near, far } = await open();
    const taken: number[] = [];
    const all = SIZES.map((bytes, number) =>
      near.send(number, payloadOf(number, bytes)).then(() => taken.push(number)),
    );
    await Promise.all(all);
    await far.untilReceived(SIZES.length);
    expect(taken).toEqual(SIZES.map((_, number) => number));
    expect(near.transport?.bufferedBytes).toBe(0);
  });

  it('does not look at memory again that was taken, nor at what was received', async () => {
    const { near, far } = await open();
    for (let number = 0; number < 12; number++) {
      const payload = payloadOf(number, 300_000);
      await near.sendMessage(number, payload);
      payload.fill(255);
    }
    await far.untilReceived(12);
    for (const [number, { payload }] of far.received.entries()) {
      expect(isEqual(payload, payloadOf(number, 300_000))).toBe(true);
    }
  });

  it('copies what it may not keep, also while nothing is taken', async () => {
    const { near, far } = await open();
    far.transport?.pause();
    const sizes = Array.from({ length: 300 }, (_, i) => (i * 997) % 70_000);
    for (const [number, bytes] of sizes.entries()) {
      const payload = payloadOf(number, bytes);
      void near.sendMessage(number, payload, false);
      payload.fill(255);
    }
    far.transport?.resume();
    await far.untilReceived(sizes.length);
    for (const [number, { payload }] of far.received.entries()) {
      expect(isEqual(payload, payloadOf(number, sizes[number] as number))).toBe(true);
    }
  });

  it('hands nothing over while it is paused, and loses nothing', async () => {
    for (const side of [0, 1] as const) {
      const [from, to] = directions(await open())[side] as [End, End];
      void from.send(0, payloadOf(0, 10));
      await to.untilReceived(1);
      to.transport?.pause();
      const sent = Array.from({ length: 40 }, (_, i) => from.send(i + 1, payloadOf(i + 1, 1000 + i * 5000)));
      void to.send(0, payloadOf(0, 10));
      await from.untilReceived(1);
      expect(to.received).toHaveLength(1);
      to.transport?.resume();
      await to.untilReceived(41);
      await Promise.all(sent);
      expect(to.received.every(({ message }, i) => (message as { offset: number }).offset === i)).toBe(true);
    }
  });

  it('hands no more over than up to a pause within a message’s handler', async () => {
    for (const [from, to] of directions(await open())) {
      to.onReceived = () => to.transport?.pause();
      for (let number = 0; number < 20; number++) void from.send(number, payloadOf(number, 100));
      for (let count = 1; count <= 20; count++) {
        await to.untilReceived(count);
        expect(to.received).toHaveLength(count);
        to.transport?.resume();
      }
      to.onReceived = () => {};
    }
  });

  it('ends with a code and a reason, after what was sent; each end hears so once, and last', async () => {
    for (const from of ['near', 'far'] as const) {
      const pair = await open();
      const other = from === 'near' ? pair.far : pair.near;
      for (let number = 0; number < 3; number++) void pair[from].send(number, payloadOf(number, 100_000));
      pair[from].transport?.close(4001, 'enough');
      pair[from].transport?.close(4002, 'again');
      await Promise.all([pair.near.untilClosed(), pair.far.untilClosed()]);
      expect(other.received).toHaveLength(3);
      expect(other.closed).toEqual({ code: 4001, reason: 'enough' });
      expect(other.heard.at(-1)).toBe('close');
      for (const end of [pair.near, pair.far])
        expect(end.heard.filter((each) => each === 'close')).toHaveLength(1);
    }
  });

  it('cuts a reason that is too long for a close frame', async () => {
    const { near, far } = await open();
    near.transport?.close(4001, 'ä'.repeat(500));
    await Promise.all([near.untilClosed(), far.untilClosed()]);
    expect(far.closed?.code).toBe(4001);
    expect('ä'.repeat(500).startsWith(far.closed?.reason as string)).toBe(true);
  });

  it('ends at once when it is terminated; both ends hear it, and every send is over', async () => {
    const { near, far } = await open();
    const sends = Array.from({ length: 5 }, (_, number) => near.send(number, payloadOf(number, 2_000_000)));
    near.transport?.terminate();
    await Promise.all([...sends, near.untilClosed(), far.untilClosed()]);
    near.transport?.terminate();
    near.transport?.close(1000, '');
    await near.send(9, payloadOf(9, 10));
    await far.send(9, payloadOf(9, 10));
    for (const end of [near, far]) expect(end.heard.filter((each) => each === 'close')).toHaveLength(1);
  });

  describe.runIf(kind.isNetwork)('on the network', () => {
    it('does not take a message that is too long', async () => {
      const { near, far } = await open();
      void near.send(0, new Uint8Array(MAX_MESSAGE_BYTES + 1));
      await Promise.all([near.untilClosed(), far.untilClosed()]);
      expect(far.received).toEqual([]);
    });

    it('says that nobody listens, once', async () => {
      const gone = new Listener();
      const there = await gone.listen();
      await gone.close();
      const end = await connectNowhere(kind, there);
      expect(end.heard).toEqual(['close']);
      expect(end.closed?.code).toBe(1006);
      expect(end.closed?.reason).not.toBe('');
    });

    it('says that the server refused it', async () => {
      for (const [status, code] of [
        [401, 4401],
        [403, 4403],
        [404, 1006],
        [503, 1006],
      ] as const) {
        listener.refusal = status;
        const end = await connectNowhere(kind, url);
        expect(end.heard).toEqual(['close']);
        expect(end.closed?.code).toBe(kind.seesStatus ? code : 1006);
        if (kind.seesStatus) expect(end.closed?.reason).toContain(String(status));
      }
    });

    it('can be given up while it opens', async () => {
      const before = await open();
      const heard: string[] = [];
      const note = (what: string) => () => heard.push(what);
      const attempt = kind.connect(url, { token: undefined, maxMessageBytes: 1000, trustedNetwork: false }, {
        onOpen: note('open'),
        onClose: note('close'),
        onFrame: note('frame'),
        onText: note('text'),
      } as never);
      attempt.abort();
      // A later connection's round trip: whatever the first one had to say has been said.
      const later = await open();
      void later.near.send(0, payloadOf(0, 1));
      await later.far.untilReceived(1);
      expect(heard).toEqual([]);
      expect(before.near.closed).toBeUndefined();
    });
  });

  it.runIf(kind.name !== 'ws, real masks' && kind.isNetwork)(
    'sends its token, never in the url',
    async () => {
      listener.refusal = 503;
      listener.requests.length = 0;
      await connectNowhere(kind, url, 'secret-ä'.normalize().replace('ä', 'x'));
      const [headers] = listener.requests;
      const offered = headers?.['sec-websocket-protocol'] ?? '';
      if (kind.seesStatus) {
        expect(headers?.authorization).toBe('Bearer secret-x');
        expect(offered).not.toContain('bearer');
      } else {
        expect(headers?.authorization).toBeUndefined();
        expect(offered.split(',')).toEqual([
          SUBPROTOCOL,
          `pslib.bearer.${Buffer.from('secret-x').toString('base64url')}`,
        ]);
      }
    },
  );
});
