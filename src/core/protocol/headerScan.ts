/**
 * A pre-scan of msgpack: is it one whole value within the bounds of depth and count? It runs before the
 * decoder, which has no bound on depth and allocates as it goes. One pass, no recursion, no allocation
 * beyond a stack of counters.
 */
import { MAX_HEADER_ARRAY, MAX_HEADER_DEPTH, MAX_HEADER_MAP, MAX_VALUE_DEPTH } from './limits.js';

/** Values still to come at each depth. */
const pending = new Float64Array(Math.max(MAX_HEADER_DEPTH, MAX_VALUE_DEPTH) + 1);

/** What a scan allows. */
interface ScanBounds {
  readonly maxDepth: number;
  readonly maxArray: number;
  readonly maxMap: number;
  /** Whether extension types may occur. */
  readonly hasExtensions: boolean;
}

const HEADER: ScanBounds = {
  maxDepth: MAX_HEADER_DEPTH,
  maxArray: MAX_HEADER_ARRAY,
  maxMap: MAX_HEADER_MAP,
  hasExtensions: false,
};
/** A count is bounded by the bytes that are there. */
const VALUE: ScanBounds = {
  maxDepth: MAX_VALUE_DEPTH,
  maxArray: Number.POSITIVE_INFINITY,
  maxMap: Number.POSITIVE_INFINITY,
  hasExtensions: true,
};

/**
 * Returns undefined if `bytes` is exactly one msgpack map within the bounds, else what is wrong.
 * O(length).
 */
export function scanHeader(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'empty header';
  const first = bytes[0] as number;
  if ((first & 0xf0) !== 0x80 && first !== 0xde) return 'header is not a map';
  const fault = scan(bytes, HEADER);
  return fault === undefined ? undefined : `header ${fault}`;
}

/** Returns undefined if `bytes` is exactly one msgpack value that can be decoded safely, else what is wrong. O(length). */
export function scanValue(bytes: Uint8Array): string | undefined {
  return scan(bytes, VALUE);
}

function scan(bytes: Uint8Array, bounds: ScanBounds): string | undefined {
  let depth = 0;
  pending[0] = 1;
  let at = 0;
  /** Values still to come at all depths: each is one byte at least. */
  let awaited = 1;
  while (true) {
    while ((pending[depth] as number) === 0) {
      if (depth === 0) return at === bytes.length ? undefined : 'has bytes after it';
      depth--;
    }
    if (at >= bytes.length) return 'is cut off';
    pending[depth] = (pending[depth] as number) - 1;
    const item = measure(bytes, at, bounds);
    if (typeof item === 'string') return item;
    at += item.bytes;
    awaited += item.children - 1;
    if (at + awaited > bytes.length) return 'is cut off';
    if (item.children > 0) {
      if (depth === bounds.maxDepth) return 'is nested too deeply';
      depth++;
      pending[depth] = item.children;
    }
  }
}

interface Item {
  bytes: number;
  children: number;
}
const item: Item = { bytes: 0, children: 0 };

function found(bytes: number, children = 0): Item {
  item.bytes = bytes;
  item.children = children;
  return item;
}

/** Size of the value at `at` without its children, and how many children follow. */
function measure(bytes: Uint8Array, at: number, bounds: ScanBounds): Item | string {
  const code = bytes[at] as number;
  if (code < 0x80 || code >= 0xe0) return found(1);
  if (code < 0x90) return map(code & 15, 1, bounds);
  if (code < 0xa0) return array(code & 15, 1, bounds);
  if (code < 0xc0) return found(1 + (code & 31));
  switch (code) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return found(1);
    case 0xc4: // bin
    case 0xd9: // str
      return found(2 + uint(bytes, at + 1, 1));
    case 0xc5:
    case 0xda:
      return found(3 + uint(bytes, at + 1, 2));
    case 0xc6:
    case 0xdb:
      return found(5 + uint(bytes, at + 1, 4));
    case 0xcc: // 8-bit integers
    case 0xd0:
      return found(2);
    case 0xcd:
    case 0xd1:
      return found(3);
    case 0xca: // float32, 32-bit integers
    case 0xce:
    case 0xd2:
      return found(5);
    case 0xcb: // float64, 64-bit integers
    case 0xcf:
    case 0xd3:
      return found(9);
    case 0xdc:
      return array(uint(bytes, at + 1, 2), 3, bounds);
    case 0xdd:
      return array(uint(bytes, at + 1, 4), 5, bounds);
    case 0xde:
      return map(uint(bytes, at + 1, 2), 3, bounds);
    case 0xdf:
      return map(uint(bytes, at + 1, 4), 5, bounds);
    default:
      return bounds.hasExtensions ? extension(bytes, at) : 'holds an extension type';
  }
}

/** The types of extensions that values may hold; see `valueCodec.ts`. */
const EXTENSIONS: readonly number[] = [1, 2, 255];

function extension(bytes: Uint8Array, at: number): Item | string {
  const code = bytes[at] as number;
  const isFixed = code >= 0xd4 && code <= 0xd8;
  if (!isFixed && !(code >= 0xc7 && code <= 0xc9)) return 'holds a byte that is not msgpack';
  const lengthBytes = isFixed ? 0 : 2 ** (code - 0xc7);
  const type = bytes[at + 1 + lengthBytes] ?? -1;
  if (!EXTENSIONS.includes(type)) return 'holds an unknown extension type';
  const length = isFixed ? 2 ** (code - 0xd4) : uint(bytes, at + 1, lengthBytes);
  return found(2 + lengthBytes + length);
}

function array(count: number, size: number, { maxArray }: ScanBounds): Item | string {
  return count > maxArray ? 'holds too long an array' : found(size, count);
}

function map(count: number, size: number, { maxMap }: ScanBounds): Item | string {
  return count > maxMap ? 'holds too large a map' : found(size, count * 2);
}

/** Big-endian unsigned integer; bytes past the end count as 0 (the caller then sees the overrun). */
function uint(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
