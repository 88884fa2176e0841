/** The incremental reader: whatever the cuts of the stream, the same messages; nothing wrong gets through. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PsError } from '../../../src/core/base/errors.js';
import { encodeFrame } from '../../../src/core/protocol/codec.js';
import { type Message, MessageType } from '../../../src/core/protocol/messages.js';
import type { PayloadPlace } from '../../../src/core/protocol/payloadPlace.js';
import { FrameReader, type FrameSink } from '../../../src/io/transport/stream/frameReader.js';

const LIMIT = 100_000;

class Recorder implements FrameSink {
  readonly messages: { message: Message; payload: number[] }[] = [];
  readonly controls: { opcode: number; data: number[] }[] = [];
  readonly malformedCodes: string[] = [];
  failure: { code: number; reason: string } | undefined;
  placed: Uint8Array | undefined;
  /** The counts of bytes that stood there, as they were told. */
  readonly filled: number[] = [];
  lateBytes = 0;
  onMessage: () => void = () => {};
  onPlace: () => void = () => {};

  place(): PayloadPlace | undefined {
    this.onPlace();
    return this.placed && { bytes: this.placed, onFilled: (count) => this.filled.push(count) };
  }
  message(message: Message, payload: Uint8Array): void {
    this.messages.push({ message, payload: [...payload] });
    this.onMessage();
  }
  malformed(error: PsError): void {
    this.malformedCodes.push(error.code);
  }
  control(opcode: number, data: Uint8Array): void {
    this.controls.push({ opcode, data: [...data] });
  }
  late(bytes: number): void {
    this.lateBytes += bytes;
  }
  fail(code: number, reason: string): void {
    this.failure = { code, reason };
  }
}

/** One RFC 6455 frame, by the letter of section 5.2. */
function frame(
  content: Uint8Array,
  options: { opcode?: number; mask?: readonly number[]; first?: number } = {},
): Uint8Array {
  const { opcode = 2, mask, first = 0x80 | opcode } = options;
  const { length } = content;
  const head = [first];
  const bit = mask === undefined ? 0 : 0x80;
  if (length < 126) head.push(bit | length);
  else if (length < 65_536) head.push(bit | 126, length >> 8, length & 255);
  else
    head.push(bit | 127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255);
  if (mask !== undefined) head.push(...mask);
  const masked = content.map((byte, i) => byte ^ (mask?.[i % 4] ?? 0));
  return Uint8Array.from([...head, ...masked]);
}

function chunk(offset: number, payload: Uint8Array): Uint8Array {
  return encodeFrame({ t: MessageType.pushChunk, seq: 1, offset }, payload);
}

function read(bytes: Uint8Array, isMasked = true, recorder = new Recorder()): Recorder {
  new FrameReader(isMasked, LIMIT, recorder).feed(bytes);
  return recorder;
}

describe('FrameReader', () => {
  it('takes no more of a message whose owner stops it where its payload begins; later bytes are only counted', () => {
    const recorder = new Recorder();
    const reader = new FrameReader(false, LIMIT, recorder);
    recorder.onPlace = () => reader.stop();
    const bytes = frame(chunk(0, new Uint8Array(2000)));
    const begin = bytes.length - 2000;
    reader.feed(bytes.subarray(0, begin + 100));
    reader.feed(bytes.subarray(begin + 100));
    reader.feed(frame(chunk(0, new Uint8Array(8))));
    expect([recorder.messages, recorder.filled]).toEqual([[], []]);
    expect(recorder.lateBytes).toBe(2000 + frame(chunk(0, new Uint8Array(8))).length);
  });

  it('that is stopped while it is paused keeps nothing of what comes', () => {
    const recorder = new Recorder();
    const reader = new FrameReader(false, LIMIT, recorder);
    reader.pause();
    reader.stop();
    reader.feed(new Uint8Array(1000));
    expect(recorder.lateBytes).toBe(1000);
  });

  it('writes no more to a place that is taken back, and loses nothing', () => {
    const payload = Uint8Array.from({ length: 2000 }, (_, i) => i % 251);
    const recorder = new Recorder();
    recorder.placed = new Uint8Array(2000);
    const reader = new FrameReader(false, LIMIT, recorder);
    const bytes = frame(chunk(0, payload));
    const cut = bytes.length - 900;
    reader.displace();
    reader.feed(bytes.subarray(0, cut));
    const before = recorder.placed.slice();
    expect([...before.subarray(0, 1100)]).toEqual([...payload.subarray(0, 1100)]);
    reader.displace();
    reader.feed(bytes.subarray(cut));
    expect([...recorder.placed]).toEqual([...before]);
    expect(recorder.messages.map((each) => each.payload)).toEqual([[...payload]]);
  });

  it('says what stands in a place after each read, until all does or the place is taken back', () => {
    const payload = Uint8Array.from({ length: 2000 }, (_, i) => i % 251);
    const recorder = new Recorder();
    recorder.placed = new Uint8Array(2000);
    const reader = new FrameReader(false, LIMIT, recorder);
    const bytes = frame(chunk(0, payload));
    const begin = bytes.length - 2000;
    for (const [from, to] of [
      [0, begin],
      [begin, begin + 500],
      [begin + 500, begin + 501],
      [begin + 501, bytes.length],
    ]) {
      reader.feed(bytes.subarray(from, to));
    }
    expect(recorder.filled).toEqual([500, 501]);
    reader.feed(bytes.subarray(0, begin + 700));
    reader.displace();
    reader.feed(bytes.subarray(begin + 700, begin + 900));
    expect(recorder.filled).toEqual([500, 501, 700]);
  });

  it('gives the same messages however the stream is cut and masked', () => {
    const content = fc.record({
      payload: fc.uint8Array({ maxLength: 3000 }),
      mask: fc.constantFrom([0, 0, 0, 0], [1, 2, 3, 4], [255, 0, 17, 128]),
      isControl: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(content, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(400), { minLength: 1 }),
        (all, cuts) => {
          const stream = Buffer.concat(
            all.flatMap(({ payload, mask, isControl }) => [
              frame(chunk(payload.length, payload), { mask }),
              ...(isControl ? [frame(payload.subarray(0, 125), { opcode: 9, mask })] : []),
            ]),
          );
          const recorder = new Recorder();
          const reader = new FrameReader(true, LIMIT, recorder);
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = Math.min(stream.length, at + 1 + (cuts[i % cuts.length] as number));
            // A copy: what is read belongs to the socket and may be overwritten.
            const part = Uint8Array.from(stream.subarray(at, end));
            reader.feed(part);
            at = end;
          }
          expect(recorder.failure).toBeUndefined();
          expect(recorder.malformedCodes).toEqual([]);
          expect(recorder.messages).toEqual(
            all.map(({ payload }) => ({
              message: { t: MessageType.pushChunk, seq: 1, offset: payload.length },
              payload: [...payload],
            })),
          );
          expect(recorder.controls.map(({ data }) => data)).toEqual(
            all.filter(({ isControl }) => isControl).map(({ payload }) => [...payload.subarray(0, 125)]),
          );
          expect(reader.isInMessage).toBe(false);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });

  it('writes a payload to its place', () => {
    const recorder = new Recorder();
    recorder.placed = new Uint8Array(8);
    read(frame(chunk(0, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), { mask: [9, 8, 7, 6] }), true, recorder);
    expect([...recorder.placed]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('stops inside a read when it is paused, and goes on in order', () => {
    const recorder = new Recorder();
    const reader = new FrameReader(false, LIMIT, recorder);
    recorder.onMessage = () => reader.pause();
    const frames = [1, 2, 3].map((offset) => frame(chunk(offset, Uint8Array.of(offset))));
    reader.feed(Buffer.concat(frames.slice(0, 2)));
    reader.feed(frames[2] as Uint8Array);
    expect(recorder.messages.length).toBe(1);
    expect(reader.resume()).toBe(false);
    expect(recorder.messages.length).toBe(2);
    recorder.onMessage = () => {};
    expect(reader.resume()).toBe(true);
    expect(recorder.messages.map(({ payload }) => payload[0])).toEqual([1, 2, 3]);
  });

  it.each([
    ['unmasked frames of a client', frame(chunk(0, Uint8Array.of(1))), true, 1002],
    ['masked frames of a server', frame(chunk(0, Uint8Array.of(1)), { mask: [0, 0, 0, 0] }), false, 1002],
    ['reserved bits', frame(chunk(0, Uint8Array.of(1)), { first: 0xc2 }), false, 1002],
    ['fragments', frame(chunk(0, Uint8Array.of(1)), { first: 0x02 }), false, 1002],
    ['continuations', frame(chunk(0, Uint8Array.of(1)), { opcode: 0 }), false, 1002],
    ['unknown opcodes', frame(new Uint8Array(0), { opcode: 11 }), false, 1002],
    ['unknown data opcodes', frame(new Uint8Array(0), { opcode: 3 }), false, 1002],
    ['text', frame(Uint8Array.of(65), { opcode: 1 }), false, 1003],
    ['long control frames', frame(new Uint8Array(126), { opcode: 9 }), false, 1002],
    ['messages over the limit', frame(new Uint8Array(LIMIT + 1)), false, 1009],
  ])('refuses %s', (_what, bytes, isMasked, code) => {
    const recorder = read(bytes, isMasked);
    expect(recorder.failure?.code).toBe(code);
    expect(recorder.messages).toEqual([]);
  });

  it('refuses a length of 2^53 and more from the header alone', () => {
    const recorder = read(Uint8Array.of(0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255), false);
    expect(recorder.failure?.code).toBe(1009);
  });

  it('reports a message that is none of ours, and reads on behind it', () => {
    const good = frame(chunk(0, Uint8Array.of(7)));
    const bad = [
      frame(Uint8Array.of(1, 2, 3)),
      frame(new Uint8Array(20).fill(255)),
      frame(Uint8Array.from([...chunk(0, Uint8Array.of(1)), 9])),
      frame(Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0])),
      frame(new Uint8Array(0)),
    ];
    const recorder = read(Buffer.concat([...bad, good]), false);
    expect(recorder.failure).toBeUndefined();
    expect(recorder.malformedCodes).toEqual(bad.map(() => 'PS_PROTOCOL'));
    expect(recorder.messages.map(({ payload }) => payload)).toEqual([[7]]);
  });

  it('never throws on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, isMasked) => {
        const recorder = read(bytes, isMasked);
        expect(recorder.messages).toEqual([]);
      }),
      { numRuns: 2000, seed: 2 },
    );
  });
});
