import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { expandNodeList, expandTaskCounts } from '../../../src/launch/place/nodeList.js';

const names = (text: string): string[] => expandNodeList('SLURM_JOB_NODELIST', text);

describe('expandNodeList', () => {
  test.each([
    ['n1', ['n1']],
    ['n[1-3]', ['n1', 'n2', 'n3']],
    ['n[1-3,7]', ['n1', 'n2', 'n3', 'n7']],
    ['n[08-11]', ['n08', 'n09', 'n10', 'n11']],
    ['n[1,3-4],login,gpu[2]', ['n1', 'n3', 'n4', 'login', 'gpu2']],
    ['rack[1-2]n[1-2]', ['rack1n1', 'rack1n2', 'rack2n1', 'rack2n2']],
    ['n[1-2].cluster.example', ['n1.cluster.example', 'n2.cluster.example']],
  ])('%s', (text, expected) => expect(names(text)).toEqual(expected));

  test('of the names of any ranges gives the names back', () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 99_999 }), fc.integer({ min: 0, max: 20 }));
    const prefix = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const width = fc.integer({ min: 1, max: 7 });
    fc.assert(
      fc.property(prefix, width, fc.array(range, { minLength: 1, maxLength: 5 }), (stem, digits, ranges) => {
        const pad = (value: number): string => String(value).padStart(digits, '0');
        const expected = ranges.flatMap(([first, more]) =>
          Array.from({ length: more + 1 }, (_, i) => stem + pad(first + i)),
        );
        const text = ranges.map(([first, more]) => `${pad(first)}-${pad(first + more)}`).join(',');
        expect(names(`${stem}[${text}]`)).toEqual(expected);
      }),
    );
  });

  test.each([
    '',
    'n[1-3',
    'n]1[',
    'n[3-1]',
    'n[a-b]',
    'n[]',
    'n[1-]',
    'a b',
    'n1,,n2',
    'n[0-99999999]',
    'n[1-300]x[1-300]',
  ])('refuses %j', (text) => {
    const refused = expect.objectContaining({
      code: 'PS_ENVIRONMENT',
      details: { option: 'SLURM_JOB_NODELIST' },
    });
    expect(() => names(text)).toThrow(refused);
  });

  test('throws nothing else, whatever the text', () => {
    const text = fc.string({ unit: fc.constantFrom('n', '1', '9', '-', ',', '[', ']', ' ', '0') });
    fc.assert(
      fc.property(text, (given) => {
        try {
          expect(names(given).length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(PsError);
        }
      }),
    );
  });
});

describe('expandTaskCounts', () => {
  const counts = (text: string): number[] => expandTaskCounts('SLURM_STEP_TASKS_PER_NODE', text);

  test.each([
    ['1', [1]],
    ['2(x3),1', [2, 2, 2, 1]],
    ['4,1(x2)', [4, 1, 1]],
  ])('%s', (text, expected) => expect(counts(text)).toEqual(expected));

  test.each(['', 'x', '2(x', '2(x9999999)', '2(3)', '-1', '1,'])('refuses %j', (text) => {
    expect(() => counts(text)).toThrow(expect.objectContaining({ code: 'PS_ENVIRONMENT' }));
  });
});
