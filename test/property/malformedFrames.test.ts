/**
 * 100,000 frames that no encoder made, to the decoder: true frames that were damaged, cut, joined and spliced, and
 * bytes of no origin. Each is a message or refused with `PS_PROTOCOL`; what it costs to find out is counted, not
 * timed. Those that are still messages go to a server core: whatever it answers, it must not throw.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PsError } from '../../src/core/base/errors.js';
import { Random } from '../../src/core/base/random.js';
import { decodeFrame, encodeFrame } from '../../src/core/protocol/codec.js';
import { readHeader } from '../../src/core/protocol/header.js';
import { TestServer } from '../unit/server/kit.js';
import { anyFrame } from './messages.js';

const FRAMES = 100_000;
/** True frames that the others are made of. */
const TRUE_FRAMES = fc
  .sample(anyFrame, { seed: 20, numRuns: 400 })
  .map(({ message, payload }) => encodeFrame(message, payload));

/** One of many ways in which bytes are no frame. */
function malformed(random: Random): Uint8Array {
  const frame = (TRUE_FRAMES[random.nextInt(TRUE_FRAMES.length)] as Uint8Array).slice();
  const other = TRUE_FRAMES[random.nextInt(TRUE_FRAMES.length)] as Uint8Array;
  switch (random.nextInt(6)) {
    case 0:
      for (let left = 1 + random.nextInt(4); left > 0; left--)
        frame[random.nextInt(frame.length)] = random.nextInt(256);
      return frame;
    case 1: {
      const at = random.nextInt(frame.length);
      frame[at] = (frame[at] as number) ^ (1 << random.nextInt(8));
      return frame;
    }
    case 2:
      return frame.subarray(0, random.nextInt(frame.length));
    case 3:
      return joined(frame, other);
    case 4:
      return joined(
        frame.subarray(0, random.nextInt(frame.length)),
        other.subarray(random.nextInt(other.length)),
      );
    default:
      return Uint8Array.from({ length: random.nextInt(300) }, () => random.nextInt(256));
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

describe('frames that no encoder made', () => {
  it('are messages or refused, and nothing else; a server core survives the messages', () => {
    const random = new Random(21);
    const server = new TestServer({ parameters: { w: { shape: [64] } } });
    const counts = { refused: 0, messages: 0 };
    let connection = 0;
    for (let i = 0; i < FRAMES; i++) {
      // A fresh connection now and then: what it is greeted with may be anything too.
      if (i % 50 === 0)
        server.step({ kind: 'connected', connection: ++connection, principal: { role: 'worker' }, now: i });
      const bytes = malformed(random);
      try {
        const { message, payload } = decodeFrame(bytes);
        counts.messages++;
        server.step({ kind: 'message', connection, message: message as never, payload, now: i });
      } catch (error) {
        if (!(error instanceof PsError) || error.code !== 'PS_PROTOCOL') {
          throw new Error(`frame ${i}: ${Buffer.from(bytes).toString('hex')}`, { cause: error });
        }
        counts.refused++;
        server.step({ kind: 'malformed', connection, error, now: i });
      }
    }
    expect(counts.refused).toBeGreaterThan(FRAMES / 2);
    expect(counts.messages).toBeGreaterThan(FRAMES / 50);
    expect(server.values.every(Number.isFinite)).toBe(true);
  });

  it('cost a bounded number of reads: each byte of the header a few times at most', () => {
    const random = new Random(22);
    let worst = 0;
    for (let i = 0; i < 4_000; i++) {
      const bytes = malformed(random).subarray(8);
      let reads = 0;
      const counted = new Proxy(bytes, {
        get(target, key) {
          if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
          const value = Reflect.get(target, key, target) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      try {
        readHeader(counted, 0);
      } catch (error) {
        if (!(error instanceof PsError)) throw error;
      }
      worst = Math.max(worst, reads / (bytes.length + 8));
    }
    expect(worst).toBeGreaterThan(0.25);
    expect(worst).toBeLessThan(6);
  });
});
