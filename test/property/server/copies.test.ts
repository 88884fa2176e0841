/**
 * A reader that keeps a copy as `docs/protocol.md` says under "Copies of the parameters": whatever is pushed, read,
 * interrupted and held meanwhile, a complete answer makes it the parameters of the version that the answer names.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asp } from '../../../src/core/consistency/consistency.js';
import { decodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType, type Pull, type PullResult } from '../../../src/core/protocol/messages.js';
import { BLOCK_ELEMENTS } from '../../../src/core/table/changeMarks.js';
import { FakeWorker } from '../../unit/server/fakeWorker.js';
import { TestServer } from '../../unit/server/kit.js';

/** Elements of the tensors; the second has two blocks. */
const LENGTHS = [3, BLOCK_ELEMENTS + 4, 1, 2];
const STARTS = LENGTHS.map((_, i) => LENGTHS.slice(0, i).reduce((sum, each) => sum + each, 0));

class Copier extends FakeWorker {
  readonly tensors: readonly number[];
  readonly copy: Float32Array;
  readonly answers: PullResult[] = [];
  /** What the copy is, or was before an answer began. */
  version: number | undefined;
  /** Some of an answer has been written into it, not all. */
  isMixed = false;
  #spans: readonly number[] = [];
  #received = 0;
  #isOpenAnswer = false;

  constructor(server: TestServer, id: string, tensors: readonly number[]) {
    super(server, id, { readOnly: true });
    this.tensors = tensors;
    this.copy = new Float32Array(tensors.reduce((sum, i) => sum + (LENGTHS[i] as number), 0));
    this.isReading = false;
    this.connect();
    this.hello();
  }

  get isAnswering(): boolean {
    return this.#isOpenAnswer;
  }

  ask(fields: Partial<Pull>): void {
    const incarnation = this.welcome?.incarnation ?? '';
    const known = this.version === undefined ? {} : { ifNewerThan: { incarnation, version: this.version } };
    this.look({ tensors: this.tensors, spans: 512, ...known, ...fields });
  }

  /** The connection is lost. */
  cut(): void {
    this.#isOpenAnswer = false;
    this.drop();
    this.reconnect();
  }

  override receive(frame: Uint8Array): void {
    const { message, payload } = decodeFrame(frame);
    if (message.t === MessageType.pullResult) this.#begin(message);
    else if (message.t !== MessageType.pullChunk) {
      super.receive(frame);
      return;
    }
    const values = new Float32Array(payload.slice().buffer);
    for (const value of values) this.copy[this.#placeOf(this.#received++)] = value;
    const last = this.answers.at(-1) as PullResult;
    if (!last.notModified && 4 * this.#received === last.bytes) {
      this.version = last.version;
      this.#isOpenAnswer = false;
      this.isMixed = false;
    }
  }

  #begin(message: PullResult): void {
    this.answers.push(message);
    if (message.notModified) return;
    this.#isOpenAnswer = true;
    this.isMixed = true;
    this.#received = 0;
    this.#spans = message.spans ?? [0, this.copy.length];
    if (message.spans === undefined) this.version = undefined;
  }

  #placeOf(position: number): number {
    let left = position;
    for (let i = 0; i < this.#spans.length; i += 2) {
      const [begin, end] = [this.#spans[i] as number, this.#spans[i + 1] as number];
      if (left < end - begin) return begin + left;
      left -= end - begin;
    }
    throw new Error('more bytes than spans');
  }
}

const anyStep = fc.oneof(
  fc.record({
    kind: fc.constant('push' as const),
    tensors: fc.subarray([0, 1, 2, 3], { minLength: 1, maxLength: 2 }),
    /** Elements that change, by their position in each tensor. */
    at: fc.constantFrom('all', 'first', 'last', 'none'),
  }),
  fc.record({
    kind: fc.constantFrom('ask', 'ask', 'wait', 'cut', 'read', 'read', 'finish'),
    reader: fc.nat(1),
  }),
  fc.record({ kind: fc.constantFrom('hold', 'release', 'load') }),
);

function gradientOf(tensors: readonly number[], at: string): number[] {
  return tensors.flatMap((i) => {
    const length = LENGTHS[i] as number;
    return Array.from({ length }, (_, k) => {
      const isChanged = at === 'all' || (at === 'first' && k === 0) || (at === 'last' && k === length - 1);
      return isChanged ? -1 : 0;
    });
  });
}

it('a copy is the parameters of its version, whoever asks when', () => {
  const world = fc.record({
    steps: fc.array(anyStep, { minLength: 20, maxLength: 50 }),
    max: fc.constantFrom(1, 2, 512),
    pinnedVersions: fc.constantFrom(1, 2),
    selections: fc.array(fc.subarray([0, 1, 2, 3], { minLength: 1 }), { minLength: 2, maxLength: 2 }),
  });
  const seen = { parts: 0, wholes: 0, empty: 0, interrupted: 0, single: 0 };
  fc.assert(
    fc.property(world, ({ steps, max, pinnedVersions, selections }) => {
      const server = new TestServer({
        parameters: Object.fromEntries(LENGTHS.map((length, i) => [`t${i}`, { shape: [length] }])),
        consistency: asp(),
        limits: { pinnedVersions, chunkBytes: 4 * 2_048 },
      });
      const versions = new Map([[0, server.core.state.table.versions.current.slice()]]);
      const writer = server.worker('writer');
      const holder = server.reader('holder');
      const readers = selections.map((tensors, i) => new Copier(server, `reader-${i}`, tensors));
      for (const reader of readers) {
        reader.ask({});
        reader.read();
      }
      const note = (): void => {
        const { current, version } = server.core.state.table.versions;
        if (!versions.has(version)) versions.set(version, current.slice());
      };
      const check = (reader: Copier): void => {
        if (reader.isMixed || reader.version === undefined) return;
        const model = versions.get(reader.version) as Float32Array;
        let at = 0;
        for (const i of reader.tensors) {
          const [start, length] = [STARTS[i] as number, LENGTHS[i] as number];
          for (let k = 0; k < length; k++) {
            if (reader.copy[at + k] !== model[start + k])
              expect([i, k, reader.copy[at + k]]).toEqual(model[start + k]);
          }
          at += length;
        }
      };
      const act = (step: { readonly kind: string; readonly reader?: number }): void => {
        if (step.reader === undefined) {
          if (step.kind === 'load') {
            const values = server.core.state.table.versions.current.map((value, i) => value + (i % 2));
            server.record({ kind: 'load', values });
          } else if (step.kind === 'hold') {
            holder.isReading = false;
            if (holder.isOpen) holder.look({ tensors: [0] });
          } else {
            holder.isReading = true;
            holder.read();
          }
          return;
        }
        const reader = readers[step.reader] as Copier;
        if (step.kind === 'cut') {
          if (reader.isAnswering) seen.interrupted++;
          reader.cut();
        } else if (step.kind === 'read') reader.read(3);
        else if (step.kind === 'finish') reader.read();
        else if (!reader.isAnswering) reader.ask({ spans: max, wait: step.kind === 'wait' });
      };
      for (const step of steps) {
        if (step.kind === 'push') {
          writer.push(gradientOf(step.tensors, step.at), { tensors: step.tensors });
        } else act(step);
        note();
        for (const reader of readers) check(reader);
      }
      holder.isReading = true;
      holder.read();
      for (const reader of readers) reader.cut();
      for (const reader of readers) {
        reader.ask({ spans: max });
        reader.read();
        expect(reader.version).toBe(server.version);
        check(reader);
        for (const { spans, notModified } of reader.answers) {
          if (notModified) continue;
          if (spans === undefined) seen.wholes++;
          else if (spans.length === 0) seen.empty++;
          else {
            seen.parts++;
            expect(spans.length / 2).toBeLessThanOrEqual(max);
            if (spans.at(-1) !== reader.copy.length || spans[0] !== 0) seen.single++;
          }
        }
      }
    }),
    { seed: 9, numRuns: 200 },
  );
  // It has tried what it is about.
  expect(Object.entries(seen).filter(([, count]) => count < 20)).toEqual([]);
});
