/** Headers against the general codec of MessagePack: the same bytes, and the same messages. */
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame } from '../../src/core/protocol/codec.js';
import { readHeader, readInOrder } from '../../src/core/protocol/header.js';
import type { Message } from '../../src/core/protocol/messages.js';
import { SCHEMAS } from '../../src/core/protocol/schema.js';
import { anyFrame } from './messages.js';

/** The fields of `message` as they are written, in order. */
function entriesOf(message: Message): [string, unknown][] {
  const values = message as unknown as Record<string, unknown>;
  const entries: [string, unknown][] = [['t', message.t]];
  for (const { name, kind, isFlag } of SCHEMAS.get(message.t)?.fields ?? []) {
    const value = values[name];
    if (value !== undefined && !(isFlag && value === false))
      entries.push([name, kind.encode(value as never)]);
  }
  return entries;
}

function headerOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(8, 8 + new DataView(frame.buffer, frame.byteOffset).getUint32(0, true));
}

function outcomeOf(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return (error as Error).message;
  }
}

describe('headers', () => {
  it('have the bytes of the general codec', () => {
    fc.assert(
      fc.property(anyFrame, ({ message }) => {
        const expected = encode(Object.fromEntries(entriesOf(message)), { ignoreUndefined: true });
        expect([...headerOf(encodeFrame(message))]).toEqual([...expected]);
      }),
      { seed: 1, numRuns: 3000 },
    );
  });

  it('are read in the order that they were written in, and in any other', () => {
    let inOrder = 0;
    fc.assert(
      fc.property(anyFrame, ({ message, payload }) => {
        const frame = encodeFrame(message, payload);
        if (readInOrder(headerOf(frame)) !== undefined) inOrder++;
        const reversed = encode(Object.fromEntries(entriesOf(message).reverse()), { ignoreUndefined: true });
        expect(decodeFrame(frame).message).toEqual(readHeader(reversed, payload.length));
      }),
      { seed: 2, numRuns: 3000 },
    );
    // All but those of Welcome, which has more fields than the short form of a map.
    expect(inOrder).toBeGreaterThan(2500);
  });

  it('that are cut off or changed anywhere are what they are in any order: never something else', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.integer({ min: 0, max: 255 }), ({ message }, place, byte) => {
        const header = headerOf(encodeFrame(message)).slice();
        const cut = header.subarray(0, place % header.length);
        expect(outcomeOf(() => readHeader(cut, 0))).toMatch(/^malformed message: header/);
        header[place % header.length] = byte;
        const read = outcomeOf(() => readInOrder(header));
        if (read === undefined) return;
        // A field behind the known ones has the header read in any order, and changes nothing else.
        const longer = Uint8Array.of(...header, 0xa1, 0x3f, 0xc3);
        longer[0] = (longer[0] as number) + 1;
        if (typeof read === 'object' && (longer[0] as number) < 0x90)
          expect(outcomeOf(() => readHeader(longer, 0))).toEqual(read);
      }),
      { seed: 3, numRuns: 5000 },
    );
  });
});
