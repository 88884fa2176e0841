/** Strings that come again and again are read once; whatever else has their length is read as it is. */
import { expect, it } from 'vitest';
import { MsgpackReader } from '../../../src/core/protocol/msgpackReader.js';
import { MsgpackWriter } from '../../../src/core/protocol/msgpackWriter.js';

const BOUNDS = { what: 'test:', maxDepth: 4, maxArray: 64, maxMap: 64 };
const read = (bytes: Uint8Array): unknown => new MsgpackReader(bytes, BOUNDS).whole();

it('reads strings of one length as they are, whichever came before', () => {
  const texts = [
    'worker-1',
    'worker-2',
    'worker-1',
    'xorker-1',
    'wörker1',
    'worker-1',
    '\u0000orker-1',
    'wörker1',
  ];
  const writer = new MsgpackWriter(4);
  for (const text of texts) expect(read(writer.encode(text).slice())).toBe(text);
  expect(read(writer.encode(texts).slice())).toEqual(texts);
});

it('does not take a string that is cut off for one that it knows', () => {
  const bytes = new MsgpackWriter(4).encode('incarnation').slice();
  expect(read(bytes)).toBe('incarnation');
  expect(() => read(bytes.subarray(0, bytes.length - 1))).toThrow('cut off');
});
