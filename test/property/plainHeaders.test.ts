/** Headers of the common kind against the general codec of MessagePack: the same bytes, and the same messages. */
import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame, decodeHeader, encodeFrame } from '../../src/core/protocol/codec.js';
import type { Message } from '../../src/core/protocol/messages.js';
import { readPlainHeader, writePlainHeader } from '../../src/core/protocol/plainHeader.js';
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

function outcomeOf(header: Uint8Array): unknown {
  try {
    return decodeHeader(header, 0);
  } catch (error) {
    return (error as Error).message;
  }
}

describe('headers of the common kind', () => {
  it('have the bytes of the general codec', () => {
    let plain = 0;
    fc.assert(
      fc.property(anyFrame, ({ message }) => {
        const expected = encode(Object.fromEntries(entriesOf(message)), { ignoreUndefined: true });
        expect([...headerOf(encodeFrame(message))]).toEqual([...expected]);
        if (writePlainHeader(message, new Uint8Array(20_000), 5) > 0) plain++;
      }),
      { seed: 1, numRuns: 3000 },
    );
    expect(plain).toBeGreaterThan(1000);
  });

  it('are read as the general codec reads them', () => {
    let plain = 0;
    fc.assert(
      fc.property(anyFrame, ({ message, payload }) => {
        const frame = encodeFrame(message, payload);
        if (readPlainHeader(headerOf(frame)) !== undefined) plain++;
        // In another order only the general codec reads it.
        const general = encode(Object.fromEntries(entriesOf(message).reverse()), { ignoreUndefined: true });
        expect(decodeFrame(frame).message).toEqual(decodeHeader(general, payload.length));
      }),
      { seed: 2, numRuns: 3000 },
    );
    expect(plain).toBeGreaterThan(1000);
  });

  it('that are cut off or changed anywhere are what the general codec says: never something else', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.integer({ min: 0, max: 255 }), ({ message }, place, byte) => {
        const header = headerOf(encodeFrame(message)).slice();
        const cut = header.subarray(0, place % header.length);
        expect(readPlainHeader(cut)).toBeUndefined();
        header[place % header.length] = byte;
        const read = readPlainHeader(header);
        if (read === undefined) return;
        // A field behind the known ones takes the header to the general codec and changes nothing else.
        const longer = Uint8Array.of(...header, 0xa1, 0x3f, 0xc3);
        longer[0] = (longer[0] as number) + 1;
        if ((longer[0] as number) < 0x90) expect(outcomeOf(longer)).toEqual(read);
      }),
      { seed: 3, numRuns: 5000 },
    );
  });
});
