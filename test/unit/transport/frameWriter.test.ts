/** How messages become writes. That their bytes are frames is held to by the conformance suite of transports. */
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { encodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { FrameWriter } from '../../../src/io/transport/stream/frameWriter.js';

const chunk = (number: number) => ({ t: MessageType.pushChunk, seq: number + 1, offset: number }) as const;

/** Takes writes at once, or when it is told to. */
class Sink extends Duplex {
  readonly writes: Buffer[] = [];
  readonly #held: (() => void)[] = [];
  isHolding = false;

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    // Not copied: it would show if the memory were used again too early.
    this.writes.push(bytes);
    if (this.isHolding) this.#held.push(done);
    else done();
  }

  release(): void {
    this.isHolding = false;
    for (const done of this.#held.splice(0)) done();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('FrameWriter', () => {
  it('writes the small messages of a turn at once, at its end', async () => {
    const sink = new Sink();
    const writer = new FrameWriter(sink, true);
    const taken: number[] = [];
    for (let i = 0; i < 5; i++) {
      writer.message(chunk(i), new Uint8Array(100).fill(i), false, () => taken.push(i));
    }
    expect([sink.writes.length, writer.bufferedBytes > 500, taken.length]).toEqual([0, true, 0]);
    await turn();
    expect([sink.writes.length, writer.bufferedBytes]).toEqual([1, 0]);
    expect(taken).toEqual([0, 1, 2, 3, 4]);
  });

  it('writes more than fits by and by, in order', async () => {
    const sink = new Sink();
    const writer = new FrameWriter(sink, false);
    for (let i = 0; i < 40; i++) writer.message(chunk(i), new Uint8Array(20_000).fill(i), false, undefined);
    await turn();
    expect(sink.writes.length).toBeLessThan(20);
    expect(sink.writes.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(40 * 20_000);
  });

  it('writes a payload in pieces as the same frame', async () => {
    for (const bytes of [3000, 90_000]) {
      const payload = Uint8Array.from({ length: bytes }, (_, i) => i % 251);
      const frameOf = async (...pieces: Uint8Array[]): Promise<[Buffer, number]> => {
        const sink = new Sink();
        const [first, ...more] = pieces;
        const length = new FrameWriter(sink, true).message(chunk(0), first, true, undefined, more);
        await turn();
        return [Buffer.concat(sink.writes), length];
      };
      const inPieces = [
        payload.subarray(0, bytes / 3),
        payload.subarray(bytes / 3, bytes / 2),
        payload.subarray(bytes / 2),
      ];
      const [whole, wholeBytes] = await frameOf(payload);
      const [joined, joinedBytes] = await frameOf(...inPieces);
      expect([bytes, joined.length]).toEqual([bytes, whole.length]);
      expect(joined.equals(whole)).toBe(true);
      expect([wholeBytes, joinedBytes]).toEqual([bytes, bytes]);
      expect(encodeFrame(chunk(0), inPieces[0], undefined, inPieces.slice(1))).toEqual(
        encodeFrame(chunk(0), payload),
      );
    }
  });

  it('keeps no more than their bytes of messages that wait', async () => {
    const sink = new Sink();
    sink.isHolding = true;
    const writer = new FrameWriter(sink, true);
    for (let i = 0; i < 20; i++) {
      writer.control(10, new Uint8Array(i));
      await turn();
    }
    sink.release();
    await turn();
    const kept = new Set(sink.writes.map(({ buffer }) => buffer));
    const bytes = [...kept].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(sink.writes).toHaveLength(20);
    expect(bytes).toBeLessThan(10_000);
  });

  it('does not touch what the system has not taken', async () => {
    const sink = new Sink();
    const writer = new FrameWriter(sink, true);
    sink.isHolding = true;
    const taken: number[] = [];
    writer.message(chunk(0), new Uint8Array(64).fill(7), false, () => taken.push(0));
    await turn();
    const [first] = sink.writes as [Buffer];
    const before = Buffer.from(first);
    writer.message(chunk(1), new Uint8Array(64).fill(8), false, () => taken.push(1));
    await turn();
    expect(first.equals(before)).toBe(true);
    expect(taken).toEqual([]);
    sink.release();
    await turn();
    sink.release();
    await turn();
    expect(taken).toEqual([0, 1]);
  });

  it('sends large payloads from where they are, behind what came before', async () => {
    const sink = new Sink();
    const writer = new FrameWriter(sink, true);
    const large = new Uint8Array(100_000);
    writer.message(chunk(0), new Uint8Array(10), false, undefined);
    writer.message(chunk(1), large, true, undefined);
    await turn();
    expect(sink.writes.map(({ length }) => length > 50_000)).toEqual([false, false, true]);
    expect(sink.writes[2]?.buffer).toBe(large.buffer);
    writer.message(chunk(2), large, false, undefined);
    await turn();
    expect(sink.writes[4]?.buffer).not.toBe(large.buffer);
  });

  it('says of everything that it is taken when the socket has ended', async () => {
    const sink = new Sink();
    const writer = new FrameWriter(sink, true);
    const taken: number[] = [];
    writer.message(chunk(0), undefined, false, () => taken.push(0));
    sink.destroy();
    await turn();
    expect(taken).toEqual([0]);
  });
});
