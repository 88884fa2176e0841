import { describe, expect, test } from 'vitest';
import { closeCodeOf, codeOfClose, ERROR_KINDS, isFatalClose } from '../../src/core/base/errors.js';
import { ssp } from '../../src/core/consistency/consistency.js';
import { referenceKernels } from '../../src/core/kernels/reference.js';
import { sgd } from '../../src/core/optim/sgd.js';
import { decodeFrame, encodeFrame } from '../../src/core/protocol/codec.js';
import { FIELD_KINDS } from '../../src/core/protocol/fields.js';
import * as limits from '../../src/core/protocol/limits.js';
import {
  type Message,
  MessageType,
  OUTCOMES,
  WAIT_REASONS,
  type WorkerMessage,
} from '../../src/core/protocol/messages.js';
import { SCHEMAS } from '../../src/core/protocol/schema.js';
import type { ServerEvent } from '../../src/core/server/events.js';
import { DEFAULT_SERVER_LIMITS } from '../../src/core/server/limits.js';
import { ServerCore } from '../../src/core/server/serverCore.js';
import { DenseTable } from '../../src/core/table/denseTable.js';
import { modelOf } from '../../src/core/table/model.js';
import { maxMessageBytes } from '../../src/io/server/coreRunner.js';
import { type Piece, readPage, tableUnder } from './markdown.js';

// docs/protocol.md is the standard, so it may not differ from the code in any number, name or byte.

const page = readPage('docs/protocol.md');

describe('messages', () => {
  const headings = page.pieces.flatMap((piece) => {
    const found = piece.kind === 'heading' && piece.depth === 3 && /^(\w+) \((\d+)\)$/.exec(piece.text);
    return found ? [{ title: piece.text, name: found[1] as string, type: Number(found[2]) }] : [];
  });

  test('every message type of the code has its section, and no other has one', () => {
    const expected = [...SCHEMAS].map(([type, { name }]) => `${name} (${type})`);
    expect(headings.map(({ title }) => title)).toEqual(expected);
    expect(Object.values(MessageType).sort((a, b) => a - b)).toEqual(headings.map(({ type }) => type));
  });

  test.each(headings)('$title: fields, kinds and what may be left out', ({ title, type }) => {
    const fields = SCHEMAS.get(type)?.fields ?? [];
    const isBare = sectionOf(title).some(
      (piece) => piece.kind === 'text' && / no fields\.$/.test(piece.text),
    );
    const rows = isBare ? [] : tableUnder(page, title);
    const told = rows.map(([name, kind, optional]) => [name, kind, optional === 'optional']);
    expect(told).toEqual(
      fields.map(({ name, kind, isFlag, isOptional }) => [name, kindName(kind), isOptional && !isFlag]),
    );
  });

  test.each(headings)('$title: payload or none', ({ title, type }) => {
    const told = sectionOf(title).some(
      (piece) => piece.kind === 'text' && piece.text.startsWith('Payload: '),
    );
    expect(told).toBe(SCHEMAS.get(type)?.hasPayload);
  });

  test('workers send up to 63, servers from 64 on', () => {
    const border = page.text.indexOf('## Messages from server to worker');
    for (const { title, type } of headings) {
      expect(page.text.indexOf(`### ${title}`) > border).toBe(type >= 64);
    }
  });

  /** The pieces from a message's heading to the next heading. */
  function sectionOf(title: string): readonly Piece[] {
    const start = page.pieces.findIndex((piece) => piece.kind === 'heading' && piece.text === title);
    const rest = page.pieces.slice(start + 1);
    const end = rest.findIndex((piece) => piece.kind === 'heading');
    return end < 0 ? rest : rest.slice(0, end);
  }

  function kindName(kind: unknown): string | undefined {
    return Object.entries(FIELD_KINDS).find(([, each]) => each === kind)?.[0];
  }
});

describe('kinds and bounds', () => {
  const kinds = new Map(tableUnder(page, 'Header fields').map(([name = '', , means = '']) => [name, means]));

  test('every kind that a message uses is explained, and no other', () => {
    const used = [...SCHEMAS.values()].flatMap(({ fields }) => fields.map(({ kind }) => kind));
    const names = Object.entries(FIELD_KINDS).flatMap(([name, kind]) => (used.includes(kind) ? [name] : []));
    expect([...kinds.keys()].sort()).toEqual(names.sort());
  });

  test('outcomes and wait reasons have their numbers', () => {
    const numbered = (names: readonly string[]) => names.map((name, i) => `${i} ${name}`).join(', ');
    expect(kinds.get('outcome')).toBe(numbered(OUTCOMES));
    expect(kinds.get('waitReason')).toBe(numbered(WAIT_REASONS));
    expect(tableUnder(page, 'Outcomes').map(([name, number]) => `${number} ${name}`)).toEqual(
      OUTCOMES.map((name, i) => `${i} ${name}`),
    );
  });

  test('the bounds are those of limits.ts', () => {
    const bounds = tableUnder(page, 'Frames').map(([, value]) => Number(value));
    const { MAX_HEADER_BYTES, MAX_HEADER_DEPTH, MAX_HEADER_ARRAY, MAX_HEADER_MAP } = limits;
    expect(bounds).toEqual([MAX_HEADER_BYTES, MAX_HEADER_DEPTH, MAX_HEADER_ARRAY, MAX_HEADER_MAP]);
    expect(kinds.get('id')).toContain(`to ${limits.MAX_ID_LENGTH} `);
    expect(kinds.get('text')).toContain(`${limits.MAX_TEXT_LENGTH} `);
    expect(kinds.get('laggards')).toContain(`at most ${limits.MAX_LAGGARDS} `);
    expect(kinds.get('metrics')).toContain(`at most ${limits.MAX_METRICS} entries`);
    expect(kinds.get('tensorSet')).toContain(`at most ${limits.MAX_TENSORS / 8} bytes`);
    expect(page.text).toContain(`at\nmost ${limits.MAX_TENSORS} tensors`);
    const overhead = maxMessageBytes(0).toLocaleString('en');
    expect(page.text).toContain(`\`chunkBytes\` (from Welcome) + ${overhead} bytes`);
  });
});

describe('faults and close codes', () => {
  const kinds = Object.entries(ERROR_KINDS) as [
    keyof typeof ERROR_KINDS,
    { wire: number; retryable: boolean; close?: number },
  ][];

  test('the table of faults is that of errors.ts', () => {
    const told = tableUnder(page, 'Faults').map(([number, code, close]) => [number, code, close]);
    const expected = kinds.filter(([, { wire }]) => wire !== 0).sort(([, a], [, b]) => a.wire - b.wire);
    expect(told).toEqual(expected.map(([code, { wire, close }]) => [`${wire}`, code, `${close ?? ''}`]));
  });

  test('every close code of errors.ts is in the table, with its fault, and told fatal if it is', () => {
    const rows = tableUnder(page, 'Close codes').map(([code, fault, fatal]) => ({
      code: Number(code),
      fault,
      isFatal: fatal === 'fatal',
    }));
    for (const { code, fault, isFatal } of rows) {
      expect([code, fault]).toEqual([code, codeOfClose(code) ?? '']);
      expect([code, isFatal]).toEqual([code, isFatalClose(code)]);
    }
    const closing = kinds.filter(([, { close }]) => close !== undefined);
    for (const [code] of closing) expect(rows.map((row) => row.code)).toContain(closeCodeOf(code));
  });
});

describe('the session in bytes', () => {
  interface Example {
    readonly sender: 'Worker' | 'Server';
    readonly name: string;
    /** The message as the page shows it, in names. */
    readonly shown: Record<string, unknown>;
    readonly frame: Uint8Array;
  }

  const examples = examplesOf(page.pieces);

  test.each(examples)('$sender: $name is what the codec writes and reads', ({ name, shown, frame }) => {
    const { message, payload } = decodeFrame(frame);
    expect(SCHEMAS.get(message.t)?.name).toBe(name);
    expect(withoutFalse(message)).toEqual(shown);
    expect(Buffer.from(encodeFrame(shown as unknown as Message, payload)).toString('hex')).toBe(
      Buffer.from(frame).toString('hex'),
    );
  });

  test('what a copy lacks, in bytes', () => {
    const at = page.pieces.findIndex((piece) => {
      return piece.kind === 'heading' && piece.text === 'Copies of the parameters';
    });
    const block = page.pieces.slice(at).find((piece) => piece.kind === 'block');
    const { message, payload } = decodeFrame(bytesOf(block?.text ?? ''));
    expect(message).toMatchObject({ t: MessageType.pullResult, version: 9, spans: [1, 3, 4, 5], bytes: 12 });
    expect([...new Float32Array(payload.buffer, payload.byteOffset, 3)]).toEqual([1, 2, 3]);
  });

  test('a server answers the worker with exactly these bytes, and closes with 1000', () => {
    const server = exampleServer();
    const said: string[] = [];
    for (const { sender, name, frame } of examples) {
      const hex = `${name} ${Buffer.from(frame).toString('hex')}`;
      if (sender === 'Worker') {
        expect(said).toEqual([]);
        said.push(...server.receive(frame));
      } else {
        expect(said.shift()).toBe(hex);
      }
    }
    expect(said).toEqual(['close 1000']);
    expect([...server.parameters()]).toEqual([-0.5, 2.5, -0.5]);
  });

  function examplesOf(pieces: readonly Piece[]): Example[] {
    const found: Example[] = [];
    pieces.forEach((piece, i) => {
      const title = piece.kind === 'text' ? /^\*\*(Worker|Server): (\w+)\*\*/.exec(piece.text) : null;
      if (title === null) return;
      const [json, hex] = pieces.slice(i + 1).filter((each) => each.kind === 'block');
      if (json?.info !== 'json' || hex?.info !== 'hex') throw new Error(`no bytes at line ${piece.line}`);
      const [, sender, name = ''] = title;
      found.push({
        sender: sender as Example['sender'],
        name,
        shown: JSON.parse(json.text) as Record<string, unknown>,
        frame: bytesOf(hex.text),
      });
    });
    return found;
  }

  function bytesOf(hex: string): Uint8Array {
    const lines = hex.split('\n').map((line) => (line.split('|')[0] as string).trim());
    const odd = lines.find((line) => !/^[0-9a-f]{2}( [0-9a-f]{2}){0,15}$/.test(line));
    if (odd !== undefined) throw new Error(`no line of hex: ${odd}`);
    // A copy: its memory begins at a multiple of 8, a Buffer's need not.
    return new Uint8Array(Buffer.from(lines.join('').replaceAll(' ', ''), 'hex'));
  }

  function withoutFalse(message: Message): Record<string, unknown> {
    return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== false));
  }

  /** The server that the page describes. */
  function exampleServer() {
    const specs = {
      kernel: { shape: [2], data: Float32Array.of(1, 2) },
      bias: { shape: [1], data: Float32Array.of(0.5) },
    };
    const model = modelOf(specs, 0);
    const allocate = (length: number) => new Float32Array(length);
    const values = allocate(model.catalogue.length);
    model.initialise(values);
    const none = Number.POSITIVE_INFINITY;
    const core = new ServerCore({
      options: {
        incarnation: 'life-1',
        lineage: 'history-1',
        shard: { index: 0, count: 1 },
        minWorkers: 1,
        delay: { scale: 'none', max: none },
        clip: { value: none, norm: none },
        nonFinite: 'reject',
        maxPushNorm: none,
        isDurable: false,
        limits: DEFAULT_SERVER_LIMITS,
      },
      table: new DenseTable({
        catalogue: model.catalogue,
        values,
        optimizer: sgd({ learningRate: 0.5 }),
        ownOptimizers: new Map(),
        pinnedVersions: 2,
        kernels: referenceKernels,
        allocate,
      }),
      consistency: ssp({ staleness: 3 }),
      allocate,
    });

    /** Carries an event out; what the server says, as `name hex` or `close code`. */
    function step(event: ServerEvent): string[] {
      const said: string[] = [];
      const say = (message: Message, payload?: Uint8Array) => {
        const hex = Buffer.from(encodeFrame(message, payload)).toString('hex');
        said.push(`${SCHEMAS.get(message.t)?.name} ${hex}`);
      };
      for (const effect of core.step(event)) {
        if (effect.kind === 'send') say(effect.message, effect.payload);
        if (effect.kind === 'close') said.push(`close ${effect.code}`);
        if (effect.kind !== 'stream') continue;
        const { stream } = effect;
        for (let part = stream.next(); part !== undefined; part = stream.next())
          say(part.message, part.payload);
        said.push(...step({ kind: 'streamEnded', stream: stream.id, now: 0 }));
      }
      return said;
    }

    step({ kind: 'connected', connection: 1, principal: { role: 'worker' }, now: 0 });
    return {
      receive(frame: Uint8Array): string[] {
        const { message, payload } = decodeFrame(frame);
        return step({
          kind: 'message',
          connection: 1,
          message: message as WorkerMessage,
          payload,
          now: 0,
        });
      },
      parameters: () => core.state.table.versions.current,
    };
  }
});
