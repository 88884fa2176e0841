import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeCatalogue } from '../../src/core/protocol/catalogueCodec.js';
import { decodeFrame, encodeFrame } from '../../src/core/protocol/codec.js';
import { type Message, MessageType } from '../../src/core/protocol/messages.js';
import { Catalogue, type TensorSpec } from '../../src/core/tensor/catalogue.js';

// The bytes of version 1 of the protocol, for ever: frames.json is added to, never edited.

interface GoldenFrame {
  readonly name: string;
  readonly message: Message;
  readonly payload: string;
  readonly frame: string;
}

const golden = JSON.parse(readFileSync(new URL('frames.json', import.meta.url), 'utf8')) as {
  readonly frames: readonly GoldenFrame[];
  readonly catalogue: { readonly specs: readonly TensorSpec[]; readonly bytes: string };
};

describe('golden frames', () => {
  it.each(golden.frames)('$name: written as ever', ({ message, payload, frame }) => {
    expect(hexOf(encodeFrame(message, bytesOf(payload)))).toBe(frame);
  });

  it.each(golden.frames)('$name: read as ever', ({ message, payload, frame }) => {
    const decoded = decodeFrame(bytesOf(frame));
    expect(decoded.message).toEqual(message);
    expect(hexOf(decoded.payload)).toBe(payload);
  });

  it('cover every type of message', () => {
    const types = new Set(golden.frames.map(({ message }) => message.t));
    expect([...types].sort((a, b) => a - b)).toEqual(Object.values(MessageType).sort((a, b) => a - b));
  });

  it('hold a catalogue', () => {
    expect(hexOf(encodeCatalogue(new Catalogue(golden.catalogue.specs)))).toBe(golden.catalogue.bytes);
  });
});

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}
