/**
 * Frames that are almost right: structure-aware mutations of a corpus. A mutation works on bytes, on the frame's own
 * lengths, or on the fields of its header, whose lengths are then made to fit again, so that it gets as far into the
 * server as a real frame would. Everything comes from the seed.
 */
import { readFileSync } from 'node:fs';
import { decode, encode } from '@msgpack/msgpack';
import { Random } from '../../src/core/base/random.js';

/** One frame of the corpus. */
export interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The committed corpus: one frame of each message, the known bombs, and what earlier runs have found. */
export const CORPUS: readonly Seed[] = (
  JSON.parse(readFileSync(new URL('corpus.json', import.meta.url), 'utf8')) as { name: string; hex: string }[]
).map(({ name, hex }) => ({ name, bytes: Uint8Array.from(Buffer.from(hex, 'hex')) }));

/** How many times as long as in a submission the fuzzing runs; `npm run fuzz` sets 10. */
export const EFFORT = Number(process.env.PSLIB_FUZZ ?? 1);
/** Where the random numbers begin. */
export const SEED = Number(process.env.PSLIB_FUZZ_SEED ?? 1);

/** Bytes with a meaning to MessagePack or to the preamble. */
const BYTES = [
  0x00, 0x01, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x91, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xc4, 0xc6, 0xc7, 0xc9,
  0xca, 0xcb, 0xcf, 0xd3, 0xd4, 0xd8, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff,
];
const LENGTHS = [0, 1, 7, 8, 9, 255, 16_383, 16_384, 16_385, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const VALUES: readonly unknown[] = [
  ...[
    0,
    1,
    -1,
    3,
    7,
    2 ** 31,
    2 ** 32,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ],
  ...[
    '',
    'w',
    'x'.repeat(128),
    'x'.repeat(129),
    'x'.repeat(2000),
    '\u0000',
    '\ud800',
    '__proto__',
    'constructor',
  ],
  ...[
    true,
    false,
    null,
    [],
    {},
    [[[[[[[[[[]]]]]]]]]],
    new Uint8Array(0),
    new Uint8Array(8193),
    Array(1025).fill(0),
  ],
  ...[
    ['life-1', 0],
    ['life-1', -1],
    [0, 0],
    { loss: Number.NaN },
    { loss: 'x' },
    Uint8Array.of(255, 255, 255, 255),
  ],
];

/** An endless supply of mutated frames. */
export class Mutator {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** An integer from 0 to below `count`; 0 if there is none. */
  below(count: number): number {
    return count < 1 ? 0 : this.#random.nextInt(count);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** One frame of the corpus, changed once to five times, or now and then left as it is. */
  next(): Uint8Array {
    let frame = this.pick(CORPUS).bytes;
    for (let changes = this.below(6); changes > 0; changes--) frame = this.#mutate(frame);
    return frame;
  }

  #mutate(frame: Uint8Array): Uint8Array {
    switch (this.below(10)) {
      case 0:
        return this.#withByte(frame, (byte) => byte ^ (1 << this.below(8)));
      case 1:
        return this.#withByte(frame, () => this.pick(BYTES));
      case 2:
        return frame.slice(0, this.below(frame.length + 1));
      case 3:
        return joined(
          frame,
          Uint8Array.from({ length: 1 + this.below(16) }, () => this.below(256)),
        );
      case 4:
        return this.#withLength(frame);
      case 5:
        return this.#spliced(frame, this.pick(CORPUS).bytes);
      case 6:
        return this.#withPayload(frame);
      default:
        return this.#withFields(frame);
    }
  }

  #withByte(frame: Uint8Array, change: (byte: number) => number): Uint8Array {
    const copy = frame.slice();
    const at = this.below(frame.length);
    copy[at] = change(copy[at] ?? 0);
    return copy;
  }

  #withLength(frame: Uint8Array): Uint8Array {
    if (frame.length < 8) return frame;
    const copy = frame.slice();
    new DataView(copy.buffer).setUint32(4 * this.below(2), this.pick(LENGTHS), true);
    return copy;
  }

  #spliced(a: Uint8Array, b: Uint8Array): Uint8Array {
    return joined(a.slice(0, this.below(a.length + 1)), b.slice(this.below(b.length + 1)));
  }

  #withPayload(frame: Uint8Array): Uint8Array {
    const header = headerOf(frame);
    const bytes = this.pick([0, 1, 3, 4, 8, 12, 16, 28, 64, 1024]);
    return framed(
      header,
      Uint8Array.from({ length: bytes }, () => (this.below(3) === 0 ? 0 : this.below(256))),
    );
  }

  #withFields(frame: Uint8Array): Uint8Array {
    let fields: Record<string, unknown>;
    try {
      fields = decode(headerOf(frame)) as Record<string, unknown>;
    } catch {
      return frame;
    }
    if (fields === null || typeof fields !== 'object') return frame;
    const keys = Object.keys(fields);
    const key = this.below(8) === 0 ? this.pick(['t', 'seq', 'tensors', 'extra', 'wait']) : this.pick(keys);
    const changed: Record<string, unknown> = { ...fields };
    const before = changed[key];
    if (this.below(5) === 0) delete changed[key];
    else if (this.below(3) === 0 && typeof before === 'number') changed[key] = before + this.below(5) - 2;
    else if (key === 't') changed[key] = this.below(130);
    else changed[key] = this.pick(VALUES);
    try {
      return framed(encode(changed), payloadOf(frame));
    } catch {
      return frame;
    }
  }
}

/** The frame of `header` and `payload`, with lengths that fit. */
function framed(header: Uint8Array, payload: Uint8Array): Uint8Array {
  const start = 8 + ((header.length + 7) & ~7);
  const frame = new Uint8Array(start + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, header.length, true);
  view.setUint32(4, payload.length, true);
  frame.set(header, 8);
  frame.set(payload, start);
  return frame;
}

function headerOf(frame: Uint8Array): Uint8Array {
  const length = frame.length < 8 ? 0 : new DataView(frame.buffer, frame.byteOffset).getUint32(0, true);
  return frame.slice(8, Math.min(frame.length, 8 + length));
}

function payloadOf(frame: Uint8Array): Uint8Array {
  return frame.slice(8 + ((headerOf(frame).length + 7) & ~7));
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
