import { describe, expect, test } from 'vitest';
import { DEFAULT_SERVER_LIMITS } from '../../src/core/server/limits.js';
import * as pslib from '../../src/index.js';
import { checkServerOptions } from '../../src/io/server/serverOptions.js';
import { checkWorkerOptions } from '../../src/io/worker/workerOptions.js';
import { HISTOGRAMS, METRICS } from '../../src/ops/metrics/metricTable.js';
import { readPage, tableUnder } from './markdown.js';

// Tables of options and defaults are those of the code.

/** `30,000` and `1e-8` as numbers. */
function numberOf(text: string): number {
  return Number(text.replaceAll(',', ''));
}

/** The names that the first cells of a table under `title` tell of. */
function namesUnder(path: string, title: string): string[] {
  const cells = tableUnder(readPage(path), title).map(([first = '']) => first);
  return cells.flatMap((cell) => cell.split(/[`, ]+/)).filter((name) => name !== '');
}

describe('docs/guides/limits.md', () => {
  const page = readPage('docs/guides/limits.md');

  test('has every limit of a server, with its default', () => {
    const rows = tableUnder(page, 'Of a server').map(([name = '', value = '']) => [name, numberOf(value)]);
    expect(Object.fromEntries(rows)).toEqual(DEFAULT_SERVER_LIMITS);
  });

  test('has every limit of a worker, with its default', () => {
    const rows = tableUnder(page, 'Of a worker').map(([name = '', value = '']) => [name, numberOf(value)]);
    expect(Object.fromEntries(rows)).toEqual(checkWorkerOptions('ws://127.0.0.1', {}).limits);
  });
});

describe('docs/guides/optimizers.md', () => {
  const rows = tableUnder(readPage('docs/guides/optimizers.md'), 'The built-in ones');
  const named = rows.map((cells) => ({ name: cells[0] as string, cells }));

  test('has every optimizer that is exported', () => {
    const exported = Object.entries(pslib).flatMap(([name, value]) => {
      if (typeof value !== 'function' || !/^[a-z]/.test(name)) return [];
      if (value.constructor.name === 'AsyncFunction') return [];
      try {
        return 'slots' in (value as () => object)() ? [name] : [];
      } catch {
        return []; // it needs options, as ssp does
      }
    });
    expect(named.map(({ name }) => name).sort()).toEqual(exported.sort());
  });

  test.each(named)('$name: options, defaults and slots', ({ name, cells }) => {
    const make = (pslib as unknown as Record<string, () => Record<string, unknown>>)[name];
    const { slots, name: own, ...defaults } = make?.() ?? {};
    const told = (cells[1] as string).split(', ').map((each) => each.split(' '));
    expect(own).toBe(name);
    expect(Object.fromEntries(told.map(([key, value = '']) => [key, numberOf(value)]))).toEqual(defaults);
    expect((cells[3] as string).split(', ').filter((slot) => slot !== '')).toEqual(slots);
  });
});

describe('tables of options', () => {
  /** The options that a check knows, from what it says of one that it does not. */
  function knownTo(check: (options: object) => unknown): string[] {
    try {
      check({ noSuchOption: 1 });
    } catch (error) {
      const { message } = error as Error;
      const [, list = ''] = /(?:known option:|it takes) ([\w, ]+?)(?:, got .*)?$/.exec(message) ?? [];
      return list.split(', ');
    }
    return [];
  }

  test('of a server: every option is there, and no other', () => {
    const known = knownTo((options) => checkServerOptions(options as never));
    expect(namesUnder('docs/guides/server.md', 'Options').sort()).toEqual(known.sort());
  });

  test('of a worker: every option is there, and no other', () => {
    const known = knownTo((options) => checkWorkerOptions('ws://127.0.0.1', options));
    expect(namesUnder('docs/guides/workers.md', 'Options').sort()).toEqual(known.sort());
  });
});

describe('docs/guides/metrics.md', () => {
  test('has every metric, in order, with its type and label', () => {
    const rows = tableUnder(readPage('docs/guides/metrics.md'), 'What there is');
    const listed = rows.map(([name, type, label]) => [name, type, label]);
    const gauges = METRICS.map(({ name, type, label = '' }) => [name, type, label]);
    expect(listed).toEqual([...gauges, ...HISTOGRAMS.map(({ name }) => [name, 'histogram', ''])]);
  });
});
