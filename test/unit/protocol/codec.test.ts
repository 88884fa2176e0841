import { encode } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { decodeFrame, encodeFrame, encodeHead, payloadOffset } from '../../../src/core/protocol/codec.js';
import { readHeader } from '../../../src/core/protocol/header.js';
import {
  MAX_HEADER_ARRAY,
  MAX_HEADER_BYTES,
  MAX_HEADER_DEPTH,
  MAX_HEADER_MAP,
  MAX_TENSORS,
} from '../../../src/core/protocol/limits.js';
import { type Message, MessageType } from '../../../src/core/protocol/messages.js';

const { hello, ping, pull, push, pushChunk, fault, waiting, pushResult } = MessageType;

/** A frame whose header is `fields` as MessagePack writes them. */
function frameOf(fields: unknown, payload = new Uint8Array(0)): Uint8Array {
  return frameOfHeader(encode(fields), payload);
}

function frameOfHeader(header: Uint8Array, payload = new Uint8Array(0)): Uint8Array {
  const start = payloadOffset(header.length);
  const frame = new Uint8Array(start + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, header.length, true);
  view.setUint32(4, payload.length, true);
  frame.set(header, 8);
  frame.set(payload, start);
  return frame;
}

/** Why `frame` is refused; undefined: it is not. */
function refusal(frame: Uint8Array): string | undefined {
  try {
    decodeFrame(frame);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(PsError);
    expect((error as PsError).code).toBe('PS_PROTOCOL');
    return (error as PsError).message;
  }
}

describe('a frame', () => {
  it('is the preamble, the header, zeros to a multiple of 8, and the payload', () => {
    const frame = encodeFrame({ t: pushChunk, seq: 1, offset: 16 }, Uint8Array.of(1, 2, 3, 4));
    const view = new DataView(frame.buffer);
    const headerBytes = view.getUint32(0, true);
    expect(view.getUint32(4, true)).toBe(4);
    expect([...frame.subarray(8, 8 + headerBytes)]).toEqual([...encode({ t: 16, seq: 1, offset: 16 })]);
    expect([...frame.subarray(8 + headerBytes, payloadOffset(headerBytes))].every((byte) => byte === 0)).toBe(
      true,
    );
    expect([...frame.subarray(payloadOffset(headerBytes))]).toEqual([1, 2, 3, 4]);
    expect(payloadOffset(headerBytes) % 8).toBe(0);
  });

  it('is its head and its payload, one behind the other', () => {
    const message: Message = { t: pushChunk, seq: 9, offset: 8 };
    const payload = Uint8Array.of(1, 2, 3, 4);
    const used = new Uint8Array(200).fill(255);
    const head = used.subarray(16, encodeHead(message, payload.length, used, 16));
    expect([...head, ...payload]).toEqual([...encodeFrame(message, payload)]);
  });

  it('may be written into memory that was used before', () => {
    const used = new Uint8Array(200).fill(255);
    const message: Message = { t: ping };
    const frame = encodeFrame(message, undefined, (bytes) => used.subarray(0, bytes));
    expect(decodeFrame(frame).message).toEqual(message);
  });

  it('that is shorter than its preamble, or whose padding is not zero, is refused', () => {
    expect(refusal(new Uint8Array(7))).toContain('preamble');
    const frame = encodeFrame({ t: ping });
    frame[frame.length - 1] = 1;
    expect(refusal(frame)).toContain('padding');
  });

  it('of a type without a payload may bring none', () => {
    expect(refusal(frameOf({ t: ping }, new Uint8Array(8)))).toContain('Ping carries no payload');
  });
});

describe('a header', () => {
  it('leaves out what is undefined or false, and reads absent flags as false', () => {
    const header = encode({ t: pull, request: 1, clock: 0 });
    expect(readHeader(header, 0)).toEqual({
      t: pull,
      request: 1,
      clock: 0,
      training: false,
      wait: false,
      consistent: false,
    });
    const frame = encodeFrame(readHeader(header, 0));
    expect(frame.length).toBe(payloadOffset(header.length));
  });

  it('may have fields that are not known', () => {
    expect(decodeFrame(frameOf({ t: ping, later: [1, { two: 3 }] })).message).toEqual({ t: ping });
  });

  it('of an unknown type is refused', () => {
    for (const t of [0, 63, 127, -1, 1.5, '1', null, undefined]) {
      expect(refusal(frameOf({ t }))).toContain('unknown message type');
    }
    expect(refusal(frameOf({}))).toContain('unknown message type');
  });

  it('without a field that it must have is refused', () => {
    expect(refusal(frameOf({ t: hello, protocol: 1, worker: 'w' }))).toContain('Hello lacks session');
  });

  it('that names fields of every object is refused rather than believed', () => {
    expect(refusal(frameOf({ t: pushChunk, toString: 1, constructor: 2 }))).toContain('lacks seq');
    const proto = Uint8Array.of(0x82, 0xa1, 0x74, 3, 0xa9, ...new TextEncoder().encode('__proto__'), 1);
    expect(refusal(frameOfHeader(proto))).toContain('the key __proto__');
  });

  it.each([
    ['uint', { t: pushChunk, seq: 1, offset: -1 }],
    ['uint', { t: pushChunk, seq: 1, offset: 1.5 }],
    ['uint', { t: pushChunk, seq: 1, offset: 2 ** 53 }],
    ['uint', { t: pushChunk, seq: 1, offset: '0' }],
    ['count', { t: pushChunk, seq: 0, offset: 0 }],
    ['id', { t: hello, protocol: 1, worker: '', session: 's' }],
    ['id', { t: hello, protocol: 1, worker: 'x'.repeat(129), session: 's' }],
    ['id', { t: hello, protocol: 1, worker: 5, session: 's' }],
    ['boolean', { t: hello, protocol: 1, worker: 'w', session: 's', readOnly: 1 }],
    ['text', { t: MessageType.goodbye, reason: 'x'.repeat(1025) }],
    ['outcome', { t: pushResult, seq: 1, outcome: 4, version: 0, delay: 0, clock: 0, minClock: 0 }],
    ['waitReason', { t: waiting, request: 1, reason: 9, laggards: [] }],
    ['tensorSet', { t: pull, request: 1, clock: 0, tensors: [1] }],
    ['tensorSet', { t: pull, request: 1, clock: 0, tensors: new Uint8Array(MAX_TENSORS / 8 + 1) }],
    ['stamp', { t: pull, request: 1, clock: 0, ifNewerThan: ['life'] }],
    ['stamp', { t: pull, request: 1, clock: 0, ifNewerThan: [1, 2] }],
    ['stamp', { t: pull, request: 1, clock: 0, ifNewerThan: 'life' }],
    ['laggards', { t: waiting, request: 1, reason: 0, laggards: [['a', 1]] }],
    ['laggards', { t: waiting, request: 1, reason: 0, laggards: Array(9).fill(['a', 1, 1]) }],
    ['laggards', { t: waiting, request: 1, reason: 0, laggards: [1] }],
    ['metrics', { t: push, seq: 1, clock: 0, bytes: 0, metrics: { a: '1' } }],
    ['metrics', { t: push, seq: 1, clock: 0, bytes: 0, metrics: [1] }],
    ['metrics', { t: push, seq: 1, clock: 0, bytes: 0, metrics: metricsOf(33) }],
    ['metrics', { t: push, seq: 1, clock: 0, bytes: 0, metrics: { ['x'.repeat(129)]: 1 } }],
  ])('with a field that is no %s is refused: %o', (_kind, fields) => {
    expect(refusal(frameOf(fields))).toContain('is not of its kind');
  });

  it('cuts text that only people read, rather than have the message refused', () => {
    const frame = encodeFrame({ t: fault, code: 1, message: 'x'.repeat(5000) });
    expect(decodeFrame(frame).message).toMatchObject({ message: 'x'.repeat(1024) });
  });

  it('holds the set of all tensors that a model may have', () => {
    const tensors = Array.from({ length: MAX_TENSORS }, (_, i) => i);
    const message: Message = {
      t: pull,
      request: 1,
      training: true,
      clock: 0,
      tensors,
      wait: false,
      consistent: true,
    };
    const frame = encodeFrame(message);
    expect(frame.length).toBeLessThan(MAX_HEADER_BYTES);
    expect(decodeFrame(frame).message).toEqual(message);
  });
});

describe('the bounds of a header', () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

  it('are its length', () => {
    const over = { t: ping, filler: 'x'.repeat(MAX_HEADER_BYTES) };
    expect(refusal(frameOf(over))).toContain('too long');
    const filler = 'x'.repeat(MAX_HEADER_BYTES - encode({ t: ping, filler: 'x'.repeat(1000) }).length + 1000);
    expect(encode({ t: ping, filler })).toHaveLength(MAX_HEADER_BYTES);
    expect(refusal(frameOf({ t: ping, filler }))).toBeUndefined();
  });

  it('are its depth', () => {
    expect(refusal(frameOf({ t: ping, x: nested(MAX_HEADER_DEPTH - 1) }))).toBeUndefined();
    expect(refusal(frameOf({ t: ping, x: nested(MAX_HEADER_DEPTH) }))).toContain('nested too deeply');
  });

  it('are the lengths of its arrays and maps', () => {
    expect(refusal(frameOf({ t: ping, x: Array(MAX_HEADER_ARRAY).fill(0) }))).toBeUndefined();
    expect(refusal(frameOf({ t: ping, x: Array(MAX_HEADER_ARRAY + 1).fill(0) }))).toContain('array');
    expect(refusal(frameOf({ t: ping, x: metricsOf(MAX_HEADER_MAP) }))).toBeUndefined();
    expect(refusal(frameOf({ t: ping, x: metricsOf(MAX_HEADER_MAP + 1) }))).toContain('map');
  });

  it('leave no room for extensions, for anything but one map, or for what follows it', () => {
    expect(refusal(frameOf({ t: ping, x: new Date(0) }))).toContain('extension');
    expect(refusal(frameOf([1]))).toContain('not a map');
    expect(refusal(frameOfHeader(new Uint8Array(0)))).toContain('not a map');
    expect(refusal(frameOfHeader(Uint8Array.of(...encode({ t: ping }), 0xc0)))).toContain(
      'header has bytes after it',
    );
    expect(refusal(frameOfHeader(encode({ t: ping, x: 'abc' }).subarray(0, -1)))).toContain('cut off');
  });
});

function metricsOf(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, i]));
}
