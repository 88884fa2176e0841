import { describe, expect, it } from 'vitest';
import { PsError } from '../../src/core/base/errors.js';
import { decodeFrame, encodeFrame } from '../../src/core/protocol/codec.js';
import { readHeader } from '../../src/core/protocol/header.js';
import { MAX_HEADER_BYTES } from '../../src/core/protocol/limits.js';
import type { Message } from '../../src/core/protocol/messages.js';
import { FrameReader } from '../../src/io/transport/stream/frameReader.js';
import { CORPUS, EFFORT, Mutator, SEED } from './mutate.js';

// A failure names the frame in hex: add it to corpus.json when it is mended.

const MAX_MESSAGE_BYTES = 65_536;

/** The message in `bytes`, or undefined if it is refused as it should be; anything else throws. */
function decoded(bytes: Uint8Array): { message: Message; payload: Uint8Array } | undefined {
  try {
    return decodeFrame(bytes);
  } catch (error) {
    if (error instanceof PsError && error.code === 'PS_PROTOCOL') return undefined;
    throw new Error(`${String(error)} at ${hexOf(bytes)}`, { cause: error });
  }
}

function decodedHeader(bytes: Uint8Array): void {
  try {
    readHeader(bytes, 0);
  } catch (error) {
    if (!(error instanceof PsError)) throw error;
  }
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** What the stream transport makes of the same bytes, cut into pieces: a message, a refusal, or its own end. */
class Reading {
  readonly messages: Message[] = [];
  malformed = 0;
  failed = 0;
  placedBytes = 0;
  readonly reader: FrameReader;

  constructor() {
    this.reader = new FrameReader(true, MAX_MESSAGE_BYTES, {
      place: (_message, bytes) => {
        this.placedBytes += bytes;
        return undefined;
      },
      message: (message) => this.messages.push(message),
      malformed: () => this.malformed++,
      control: () => {},
      fail: () => this.failed++,
    });
  }

  /** Takes one WebSocket frame with a mask of `mask`, in pieces of `size` bytes. */
  take(data: Uint8Array, mask: readonly number[], size: number): void {
    const head = Buffer.alloc(14);
    head[0] = 0x82;
    head[1] = 0xff;
    head.writeBigUInt64BE(BigInt(data.length), 2);
    head.set(mask, 10);
    const body = data.map((byte, i) => byte ^ (mask[i & 3] as number));
    const bytes = Buffer.concat([head, body]);
    for (let at = 0; at < bytes.length; at += size) this.reader.feed(bytes.subarray(at, at + size));
  }
}

describe('the decoder', () => {
  it('gives a message that is written again as it was read, or refuses; it throws nothing else', () => {
    const mutator = new Mutator(SEED);
    let messages = 0;
    for (let i = 0; i < 100_000 * EFFORT; i++) {
      const bytes = mutator.next();
      const found = decoded(bytes);
      if (found === undefined) continue;
      messages++;
      const again = decoded(encodeFrame(found.message, found.payload));
      if (again === undefined) throw new Error(`written wrongly: ${hexOf(bytes)}`);
      if (i % 16 === 0) expect(again.message, hexOf(bytes)).toEqual(found.message);
    }
    // Both happen, or the mutations are too wild or too tame.
    expect(messages).toBeGreaterThan(10_000 * EFFORT);
    expect(messages).toBeLessThan(90_000 * EFFORT);
  });

  it('reads each byte of a header a bounded number of times, whatever its counts announce', () => {
    const mutator = new Mutator(SEED + 1);
    for (let i = 0; i < 2000 * EFFORT; i++) {
      const bytes = mutator.next();
      const header = bytes.subarray(8, Math.min(bytes.length, 8 + MAX_HEADER_BYTES));
      let reads = 0;
      const counted = new Proxy(header, {
        get(target, name) {
          if (typeof name === 'string' && /^\d+$/.test(name)) reads++;
          const value = Reflect.get(target, name, target) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      expect(() => decodedHeader(counted)).not.toThrow();
      expect(reads, hexOf(bytes)).toBeLessThanOrEqual(6 * header.length + 16);
    }
  });

  it.each(CORPUS)('takes or refuses $name at once', ({ bytes }) => {
    const before = process.memoryUsage().heapUsed;
    decoded(bytes);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8_000_000);
  });
});

describe('the reader of the stream transport', () => {
  it('finds in any pieces and under any mask what the decoder finds', () => {
    const mutator = new Mutator(SEED + 2);
    let reading = new Reading();
    for (let i = 0; i < 20_000 * EFFORT; i++) {
      const bytes = mutator.next();
      const mask = mutator.below(2) === 0 ? [0, 0, 0, 0] : [1, 2, 3, 4].map(() => mutator.below(256));
      const before = { messages: reading.messages.length, malformed: reading.malformed };
      reading.take(bytes, mask, 1 + mutator.below(bytes.length + 20));
      const isMessage = decoded(bytes) !== undefined;
      if (bytes.length > MAX_MESSAGE_BYTES) {
        expect(reading.failed).toBe(1);
        reading = new Reading();
        continue;
      }
      const found = reading.messages.length - before.messages;
      const refused = reading.malformed - before.malformed;
      expect([found, refused], hexOf(bytes)).toEqual(isMessage ? [1, 0] : [0, 1]);
      expect(reading.placedBytes).toBeLessThanOrEqual(bytes.length);
      reading.placedBytes = 0;
      reading.messages.length = 0;
    }
  });
});
