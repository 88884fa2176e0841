import { describe, expect, it } from 'vitest';
import { MessageType, type Pull } from '../../../src/core/protocol/messages.js';
import { bytesOf } from '../../../src/core/protocol/modelStream.js';
import type { PullAnswer } from '../../../src/core/worker/events.js';
import { Harness, MODEL, pullResultOf } from './coreHarness.js';

const { pull, pullChunk, cancel, waiting } = MessageType;

function opened(options = {}): Harness {
  const h = new Harness(options);
  h.open();
  h.sent();
  return h;
}

function answerOf(h: Harness, request: number): PullAnswer {
  return h.outcome(request)?.value as PullAnswer;
}

describe('a pull', () => {
  it('asks for all tensors at the worker’s clock, and puts the answer into fresh arrays', () => {
    const h = opened();
    const request = h.pull();
    expect(h.sent()).toEqual([
      {
        t: pull,
        request: 1,
        training: true,
        clock: 0,
        tensors: undefined,
        ifNewerThan: undefined,
        wait: false,
        consistent: true,
      },
    ]);
    h.answerPull(1, MODEL, { version: 12, clock: 2, minClock: 1 });
    const { arrays, ...rest } = answerOf(h, request);
    expect(arrays?.map((each) => [...each])).toEqual([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9], [10]]);
    const pulled = [{ incarnation: 'life-1', version: 12 }];
    expect(rest).toEqual({ version: 12, pulled, clock: 2, minClock: 1, bytes: 44 });
    expect(h.core.clock).toBe(2);
  });

  it('puts chunks together wherever they were cut between elements', () => {
    for (let first = 0; first <= 11; first++) {
      for (let second = first; second <= 11; second++) {
        const h = opened();
        const request = h.pull();
        const bytes = bytesOf(Float32Array.from(MODEL));
        h.receive(pullResultOf(1), bytes.slice(0, first * 4));
        const chunk = { t: pullChunk, request: 1, version: 1 } as const;
        if (second > first) h.receive({ ...chunk, offset: first * 4 }, bytes.slice(first * 4, second * 4));
        if (second < 11) h.receive({ ...chunk, offset: second * 4 }, bytes.slice(second * 4));
        expect(answerOf(h, request).arrays?.flatMap((each) => [...each])).toEqual(MODEL);
      }
    }
  });

  it('of some tensors writes only those, and into the arrays that were given', () => {
    const h = opened();
    const mine = new Float32Array(4);
    const request = h.pull({ tensors: [1, 2], into: [mine, undefined] });
    expect(h.sent()[0]).toMatchObject({ tensors: [1, 2] });
    h.answerPull(1, [5, 6, 7, 8, 9]);
    const { arrays } = answerOf(h, request);
    expect(arrays?.[0]).toBe(mine);
    expect([...mine]).toEqual([5, 6, 7, 8]);
    expect([...(arrays?.[1] ?? [])]).toEqual([9]);
  });

  it('that need not be consistent counts as of its lowest version', () => {
    const h = opened();
    const request = h.pull({ consistent: false });
    const bytes = bytesOf(Float32Array.from(MODEL));
    h.receive(pullResultOf(1, { version: 9 }), bytes.slice(0, 8));
    h.receive({ t: pullChunk, request: 1, offset: 8, version: 7 }, bytes.slice(8, 16));
    h.receive({ t: pullChunk, request: 1, offset: 16, version: 8 }, bytes.slice(16));
    expect(answerOf(h, request).version).toBe(7);
    h.push();
    expect(h.sent()[1]).toMatchObject({ version: { incarnation: 'life-1', version: 7 } });
  });

  it('may be answered after one that was asked later', () => {
    const h = opened();
    const [first, second] = [h.pull({ tensors: [2] }), h.pull({ tensors: [2] })];
    h.answerPull(2, [2]);
    h.answerPull(1, [1]);
    expect([...(answerOf(h, first).arrays?.[0] ?? [])]).toEqual([1]);
    expect([...(answerOf(h, second).arrays?.[0] ?? [])]).toEqual([2]);
  });

  it('that is refused fails with the server’s error', () => {
    const h = opened();
    const request = h.pull();
    h.refuse('PS_PULL_TIMEOUT', { request: 1, laggards: [['slow', 3, 1500]] });
    expect(h.outcome(request)?.error).toMatchObject({
      code: 'PS_PULL_TIMEOUT',
      details: { laggards: [{ id: 'slow', clock: 3, lastSeenMs: 1500 }] },
    });
  });
});

describe('a conditional pull', () => {
  it('sends the condition only for a version that it pulled from this life of the server', () => {
    const h = opened();
    h.pull({ ifNewerThan: 5 });
    expect((h.sent()[0] as Pull).ifNewerThan).toBeUndefined();
    h.answerPull(1, MODEL, { version: 5 });
    h.pull({ ifNewerThan: 5, wait: true, training: false });
    expect(h.sent()[0]).toMatchObject({ ifNewerThan: { incarnation: 'life-1', version: 5 }, wait: true });
    h.reconnect({ incarnation: 'life-2' });
    const again = h.sent().find(({ t }) => t === pull) as Pull;
    expect(again).toMatchObject({ ifNewerThan: undefined, wait: false });
  });

  it('is answered "not modified" without arrays', () => {
    const h = opened();
    h.pull();
    h.answerPull(1, MODEL, { version: 5 });
    const request = h.pull({ ifNewerThan: 5 });
    h.receive(pullResultOf(2, { version: 5, bytes: 0, notModified: true }));
    expect(answerOf(h, request)).toMatchObject({ arrays: undefined, version: 5, bytes: 0 });
  });

  it('forgets versions that it pulled long ago', () => {
    const h = opened();
    for (let version = 1; version <= 65; version++) {
      h.pull({ tensors: [2] });
      h.answerPull(version, [0], { version });
    }
    h.sent();
    h.pull({ ifNewerThan: 1 });
    h.pull({ ifNewerThan: 2 });
    expect(h.sent().map((each) => (each as Pull).ifNewerThan?.version)).toEqual([undefined, 2]);
  });
});

describe('an answer that does not fit', () => {
  const bytes = bytesOf(Float32Array.from(MODEL));
  const cases: [name: string, spoil: (h: Harness) => void][] = [
    ['another length', (h) => h.receive(pullResultOf(1, { bytes: 40 }), bytes.slice(0, 40))],
    ['more bytes than announced', (h) => h.receive(pullResultOf(1), new Uint8Array(48))],
    [
      '"not modified" to an unconditional pull',
      (h) => h.receive(pullResultOf(1, { notModified: true, bytes: 0 })),
    ],
    ['a chunk before its head', (h) => h.receive({ t: pullChunk, request: 1, offset: 0, version: 1 }, bytes)],
    ['an answer to a request never made', (h) => h.receive(pullResultOf(2), bytes)],
    ['an answer to a push never made', (h) => h.answerPush(1)],
    [
      'a second head',
      (h) => {
        h.receive(pullResultOf(1), bytes.slice(0, 8));
        h.receive(pullResultOf(1), bytes.slice(0, 8));
      },
    ],
    [
      'a gap between chunks',
      (h) => {
        h.receive(pullResultOf(1), bytes.slice(0, 8));
        h.receive({ t: pullChunk, request: 1, offset: 12, version: 1 }, bytes.slice(12));
      },
    ],
    ['a message of workers', (h) => h.receive({ t: MessageType.ping } as never)],
    ['a second Welcome', (h) => h.accept()],
  ];
  it.each(cases)('%s costs the connection, and the pull is asked again', (_name, spoil) => {
    const h = opened();
    const request = h.pull();
    spoil(h);
    expect(h.effects).toContainEqual(expect.objectContaining({ kind: 'close', code: 1008 }));
    expect(h.observed('reconnecting')[0]?.error.code).toBe('PS_PROTOCOL');
    expect(h.outcome(request)).toBeUndefined();
    h.sent();
    h.redial();
    h.accept();
    const wire = (h.sent().find(({ t }) => t === pull) as Pull).request;
    h.answerPull(wire, MODEL);
    expect(answerOf(h, request).arrays?.flatMap((each) => [...each])).toEqual(MODEL);
  });
});

describe('the time-out of a pull', () => {
  it('names the laggards of the last Waiting, with the time since', () => {
    const h = opened();
    const request = h.pull({ timeoutMs: 4000 });
    h.pass(1000);
    h.receive({ t: waiting, request: 1, reason: 'staleness', laggards: [['other', 1, 1]] });
    h.pass(1000);
    h.receive({ t: waiting, request: 1, reason: 'staleness', laggards: [['slow', 3, 500]] });
    expect(h.observed('waiting').map(({ laggards }) => laggards)).toEqual([
      [{ id: 'other', clock: 1, lastSeenMs: 1 }],
      [{ id: 'slow', clock: 3, lastSeenMs: 500 }],
    ]);
    h.sent();
    h.pass(1999);
    expect(h.outcome(request)).toBeUndefined();
    h.pass(1);
    const error = h.outcome(request)?.error;
    expect(error?.code).toBe('PS_PULL_TIMEOUT');
    expect(error?.retryable).toBe(true);
    expect(error?.details.laggards).toEqual([{ id: 'slow', clock: 3, lastSeenMs: 2500 }]);
    expect(error?.message).toContain('slow at clock 3 (last heard 2.5 s ago)');
    expect(h.sent()).toEqual([{ t: cancel, request: 1 }]);
    h.answerPull(1, MODEL);
    expect(h.core.isOpen).toBe(true);
  });

  it('says that the server could not be reached, and why', () => {
    const h = opened({ reconnect: { retries: 9, minDelayMs: 1e9, maxDelayMs: 1e9, maxOfflineMs: 1e9 } });
    const request = h.pull({ timeoutMs: 20_000 });
    h.drop(1006, 'cable pulled');
    h.pass(19_999);
    expect(h.outcome(request)).toBeUndefined();
    h.pass(1);
    expect(h.code(request)).toBe('PS_PULL_TIMEOUT');
    expect(h.outcome(request)?.error?.message).toContain('cable pulled');
  });

  it('does not end one whose bytes keep coming', () => {
    const h = opened();
    const request = h.pull({ timeoutMs: 1000 });
    const bytes = bytesOf(Float32Array.from(MODEL));
    h.pass(900);
    h.receive(pullResultOf(1), bytes.slice(0, 4));
    for (let i = 1; i < 11; i++) {
      h.pass(900);
      h.receive({ t: pullChunk, request: 1, offset: i * 4, version: 1 }, bytes.slice(i * 4, i * 4 + 4));
    }
    expect(answerOf(h, request).bytes).toBe(44);
  });

  it('begins when the pull is sent, but not anew when it is asked again', () => {
    const h = opened();
    const request = h.pull({ timeoutMs: 50_000 });
    h.pass(15_000);
    h.reconnect();
    h.pass(50_000 - h.now - 1);
    expect(h.outcome(request)).toBeUndefined();
    h.pass(1);
    expect(h.code(request)).toBe('PS_PULL_TIMEOUT');
  });

  it('is none where the pull has none', () => {
    const h = opened();
    const request = h.pull({ timeoutMs: Number.POSITIVE_INFINITY });
    for (let i = 0; i < 1000; i++) {
      h.pass(9000);
      h.receive({ t: MessageType.pong });
    }
    expect(h.outcome(request)).toBeUndefined();
  });
});

describe('giving up a pull', () => {
  it('tells the server if it was asked, and passes over what still comes', () => {
    const h = opened();
    const request = h.pull();
    const bytes = bytesOf(Float32Array.from(MODEL));
    h.receive(pullResultOf(1), bytes.slice(0, 8));
    h.sent();
    const error = { code: 'PS_ABORTED' } as never;
    h.step({ kind: 'cancel', request, error });
    expect(h.outcome(request)).toEqual({ error });
    expect(h.effects.some((effect) => effect.kind === 'displace')).toBe(true);
    expect(h.sent()).toEqual([{ t: cancel, request: 1 }]);
    h.receive({ t: pullChunk, request: 1, offset: 8, version: 1 }, bytes.slice(8));
    h.receive({ t: waiting, request: 1, reason: 'staleness', laggards: [] });
    h.refuse('PS_PULL_TIMEOUT', { request: 1 });
    expect(h.core.isOpen).toBe(true);
    h.step({ kind: 'cancel', request, error });
    expect(h.outcome(request)).toEqual({ error });
  });

  it('tells nobody if it was not', () => {
    const h = opened();
    h.drop();
    const request = h.pull();
    h.step({ kind: 'cancel', request, error: { code: 'PS_ABORTED' } as never });
    h.redial();
    h.accept();
    expect(h.sent().map(({ t }) => t)).toEqual([MessageType.hello]);
  });

  it('leaves no observation of a pull that only watches', () => {
    const h = opened();
    h.pull();
    h.answerPull(1, MODEL, { version: 1 });
    h.pull({ training: false, wait: true, ifNewerThan: 1 });
    h.receive({ t: waiting, request: 2, reason: 'change', laggards: [] });
    expect(h.observed('waiting')).toEqual([]);
  });
});

describe('a pull for a later step', () => {
  it('is for the clock that many steps on, behind the ticks that leave before it, and stays for it', () => {
    const h = opened();
    h.pull({ ahead: 2 });
    h.push(1, { tick: true });
    h.pull({ ahead: 2 });
    const clocks = () => h.sent().flatMap((each) => (each.t === pull ? [each.clock] : []));
    expect(clocks()).toEqual([2, 3]);
    h.drop();
    h.reconnect();
    expect(clocks()).toEqual([2, 3]);
  });
});

describe('a pull into a copy', () => {
  const since = [{ incarnation: 'life-1', version: 4 }];
  const copyOf = (h: Harness, pulled = since) => {
    const into = [new Float32Array(6).fill(-1), new Float32Array(4).fill(-1), new Float32Array(1).fill(-1)];
    const request = h.pull({ training: false, into, copyOf: pulled });
    return { request, values: () => into.flatMap((each) => [...each]) };
  };
  const bytes = (...values: number[]) => bytesOf(Float32Array.from(values));

  it('names what it has, and writes what has changed over it, wherever it is cut', () => {
    for (let cut = 0; cut <= 4; cut++) {
      const h = opened();
      const { request, values } = copyOf(h);
      expect(h.sent()[0]).toMatchObject({ ifNewerThan: since[0], spans: 512, wait: false });
      const all = bytes(1, 2, 3, 4);
      h.receive(pullResultOf(1, { bytes: 16, spans: [1, 2, 5, 8], version: 6 }), all.slice(0, 4 * cut));
      if (cut < 4) {
        expect(h.outcome(request)).toBeUndefined();
        h.receive({ t: pullChunk, request: 1, offset: 4 * cut, version: 6 }, all.slice(4 * cut));
      }
      expect(answerOf(h, request)).toMatchObject({ version: 6, changed: [0, 1], bytes: 16 });
      expect(values()).toEqual([-1, 1, -1, -1, -1, 2, 3, 4, -1, -1, -1]);
    }
  });

  it('may get nothing but a version, or all', () => {
    const h = opened();
    const first = copyOf(h);
    h.receive(pullResultOf(1, { bytes: 0, spans: [], version: 5 }));
    expect(answerOf(h, first.request)).toMatchObject({ version: 5, changed: [], bytes: 0 });
    expect(first.values()).toEqual(Array(11).fill(-1));
    const second = copyOf(h);
    h.answerPull(2, MODEL);
    expect(answerOf(h, second.request).changed).toBeUndefined();
    expect(second.values()).toEqual(MODEL);
    const third = copyOf(h);
    h.receive(pullResultOf(3, { bytes: 0, notModified: true, version: 4 }));
    expect(answerOf(h, third.request).arrays).toBeUndefined();
  });

  it('of nothing asks for all', () => {
    const h = opened();
    copyOf(h, []);
    expect(h.sent()[0]).toMatchObject({ ifNewerThan: undefined, spans: 512 });
  });

  it('that was interrupted still has what it names, unless all of it had begun to come', () => {
    const h = opened({ readOnly: true });
    const { request, values } = copyOf(h);
    h.sent();
    h.receive(pullResultOf(1, { bytes: 12, spans: [0, 3], version: 6 }), bytes(1));
    h.reconnect();
    expect(h.sent().at(-1)).toMatchObject({ t: pull, ifNewerThan: since[0] });
    h.receive(pullResultOf(2, { version: 9 }), bytes(1));
    h.reconnect();
    expect(h.sent().at(-1)).toMatchObject({ t: pull, ifNewerThan: undefined, spans: 512 });
    h.answerPull(3, MODEL);
    expect(answerOf(h, request).changed).toBeUndefined();
    expect(values()).toEqual(MODEL);
  });

  it('refuses what it did not ask for, and what lies elsewhere', () => {
    const breaks = (answer: object, pulled?: typeof since | []): boolean => {
      const h = opened();
      copyOf(h, pulled as typeof since);
      h.receive(pullResultOf(1, answer), bytes(1));
      return h.count('close') + h.count('terminate') > 0;
    };
    expect(breaks({ bytes: 4, spans: [10, 11] })).toBe(false);
    expect(breaks({ bytes: 4, spans: [11, 12] })).toBe(true);
    expect(breaks({ bytes: 8, spans: [0, 1] })).toBe(true);
    expect(breaks({ bytes: 4, spans: [0, 1] }, [])).toBe(true);
  });

  it('lets chunks be written to their places, where they lie in one tensor', () => {
    const h = opened();
    const into = [new Float32Array(6), new Float32Array(4), new Float32Array(1)];
    h.pull({ training: false, into, copyOf: since });
    const head = pullResultOf(1, { bytes: 16, spans: [1, 2, 5, 8], version: 6 });
    expect(h.core.placeOf(head, 16)).toBeUndefined();
    h.receive(head);
    const chunk = { t: pullChunk, request: 1, offset: 0, version: 6 } as const;
    expect(h.core.placeOf(chunk, 4)).toEqual(bytesOf(into[0]?.subarray(1, 2) as Float32Array));
    expect(h.core.placeOf(chunk, 16)?.buffer).not.toBe(into[0]?.buffer);
    expect(h.core.placeOf(chunk, 20)).toBeUndefined();
  });
});
