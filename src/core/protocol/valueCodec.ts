/**
 * Inputs, items and results of tasks ↔ bytes: any msgpack value, and typed arrays in it, whose bytes stand
 * apart so that they are neither copied into msgpack nor out of it.
 *
 *     value     = u32 length of structure | u32 0 | structure | zero pad to 8 | (array | zero pad to 8)…
 *     structure = one msgpack value; an extension stands for what msgpack lacks
 *     ext 1     = the next array: u8 kind | u32 bytes         (kinds: the position in `ARRAY_KINDS`)
 *     ext 2     = a bigint, as decimal digits                 ext −1 = a Date, msgpack's timestamp
 *
 * All integers are little-endian. A value is a multiple of 8 bytes long, so values can stand behind each other.
 */
import { Decoder, Encoder, ExtensionCodec } from '@msgpack/msgpack';
import { describe, PsError } from '../base/errors.js';
import { scanValue } from './headerScan.js';
import { MAX_VALUE_DEPTH } from './limits.js';

/** A constructor of views of memory. */
interface ArrayKind {
  new (buffer: ArrayBufferLike, offset: number, length: number): ArrayBufferView;
  readonly BYTES_PER_ELEMENT?: number;
}

/** The kinds of arrays; the position in this list is the number on the wire. */
const ARRAY_KINDS: readonly ArrayKind[] = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
  DataView,
];
/** Stands behind those: an ArrayBuffer. */
const ARRAY_BUFFER = ARRAY_KINDS.length;
const PREAMBLE_BYTES = 8;
const ARRAY_EXTENSION = 1;
const BIGINT_EXTENSION = 2;
const MAX_BIGINT_DIGITS = 1024;
const ZEROS = new Uint8Array(8);

/** A value as bytes: pieces that stand behind each other. Those of arrays are views, not copies. */
export interface EncodedValue {
  readonly pieces: readonly Uint8Array[];
  /** A multiple of 8. */
  readonly bytes: number;
}

/** The arrays of the value that is encoded or decoded now, in order. */
let arrays: Uint8Array[] = [];
let source: Uint8Array = ZEROS;
let sourceAt = 0;

const extensionCodec = new ExtensionCodec();
extensionCodec.register({ type: ARRAY_EXTENSION, encode: encodeArray, decode: decodeArray });
extensionCodec.register({ type: BIGINT_EXTENSION, encode: encodeBigint, decode: decodeBigint });
const encoder = new Encoder({ extensionCodec, maxDepth: MAX_VALUE_DEPTH });
const decoder = new Decoder({ extensionCodec });

/**
 * The bytes of `value`. `name` is what the error calls it. Throws `PS_VALUE_INVALID` for what has no
 * bytes: functions, symbols, objects of classes, cycles.
 */
export function encodeValue(value: unknown, name = 'value'): EncodedValue {
  arrays = [];
  let structure: Uint8Array;
  try {
    structure = encoder.encodeSharedRef(value);
  } catch (cause) {
    if (cause instanceof PsError) throw new PsError(cause.code, `${name}: ${cause.message}`);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PsError('PS_VALUE_INVALID', `${name} can't be sent: ${reason}`, { cause });
  }
  const head = new Uint8Array(padded(PREAMBLE_BYTES + structure.length));
  new DataView(head.buffer).setUint32(0, structure.length, true);
  head.set(structure, PREAMBLE_BYTES);
  const pieces: Uint8Array[] = [head];
  let bytes = head.length;
  for (const array of arrays) {
    if (array.length === 0) continue;
    pieces.push(array);
    const padding = padded(array.length) - array.length;
    if (padding > 0) pieces.push(ZEROS.subarray(0, padding));
    bytes += array.length + padding;
  }
  arrays = [];
  return { pieces, bytes };
}

/**
 * The value in `bytes`; its arrays are views of them where they stand aligned. Throws `PS_PROTOCOL` if
 * there is none.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  if (bytes.length < PREAMBLE_BYTES) throw malformed('it is too short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, PREAMBLE_BYTES);
  const end = PREAMBLE_BYTES + view.getUint32(0, true);
  if (view.getUint32(4, true) !== 0 || end > bytes.length) throw malformed('its structure is cut off');
  const structure = bytes.subarray(PREAMBLE_BYTES, end);
  const fault = scanValue(structure);
  if (fault !== undefined) throw malformed(`its structure ${fault}`);
  source = bytes;
  sourceAt = padded(end);
  let value: unknown;
  try {
    value = decoder.decode(structure);
  } catch (cause) {
    throw cause instanceof PsError ? cause : malformed('its structure is not msgpack', cause);
  }
  const isWhole = sourceAt === bytes.length;
  source = ZEROS;
  if (!isWhole) throw malformed('its arrays are not those of its structure');
  return value;
}

function encodeArray(value: unknown): Uint8Array | null {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return null;
  const isBuffer = value instanceof ArrayBuffer;
  if (!isBuffer && !ArrayBuffer.isView(value)) return mustBePlain(value);
  const array = isBuffer
    ? new Uint8Array(value)
    : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const kind = isBuffer ? ARRAY_BUFFER : ARRAY_KINDS.findIndex((Kind) => value instanceof Kind);
  if (kind < 0) throw new PsError('PS_VALUE_INVALID', `${describe(value)} can't be sent`);
  arrays.push(array);
  const reference = new Uint8Array(5);
  reference[0] = kind;
  new DataView(reference.buffer).setUint32(1, array.length, true);
  return reference;
}

/** An object of a class would lose its class, a Map its entries. */
function mustBePlain(value: object): null {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype || isDate(value)) return null;
  // A plain object of another realm.
  if (Object.getPrototypeOf(prototype) === null && !(value instanceof Map || value instanceof Set))
    return null;
  const { name } = value.constructor;
  throw new PsError('PS_VALUE_INVALID', `an object of class ${name} can't be sent; a plain object can`);
}

function isDate(value: object): boolean {
  return Object.prototype.toString.call(value) === '[object Date]';
}

function decodeArray(reference: Uint8Array): unknown {
  if (reference.length !== 5) throw malformed('an array lacks its kind');
  const bytes = new DataView(reference.buffer, reference.byteOffset).getUint32(1, true);
  const kind = reference[0] as number;
  const end = sourceAt + bytes;
  if (end > source.length) throw malformed('an array is cut off');
  const array = source.subarray(sourceAt, end);
  sourceAt = padded(end);
  if (kind === ARRAY_BUFFER) return array.slice().buffer;
  const Kind = ARRAY_KINDS[kind];
  if (Kind === undefined) throw malformed(`there are no arrays of kind ${kind}`);
  const { BYTES_PER_ELEMENT: size = 1 } = Kind;
  if (bytes % size !== 0) throw malformed('an array ends within an element');
  const aligned = array.byteOffset % size === 0 ? array : array.slice();
  return new Kind(aligned.buffer, aligned.byteOffset, bytes / size);
}

function encodeBigint(value: unknown): Uint8Array | null {
  if (typeof value !== 'bigint') return null;
  const digits = value.toString();
  if (digits.length > MAX_BIGINT_DIGITS)
    throw new PsError('PS_VALUE_INVALID', `a bigint of ${digits.length} digits can't be sent`);
  return Uint8Array.from(digits, (digit) => digit.charCodeAt(0));
}

function decodeBigint(bytes: Uint8Array): bigint {
  const digits = String.fromCharCode(...bytes.subarray(0, MAX_BIGINT_DIGITS + 1));
  if (digits.length > MAX_BIGINT_DIGITS || !/^-?\d+$/.test(digits)) throw malformed('a bigint is none');
  return BigInt(digits);
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function malformed(what: string, cause?: unknown): PsError {
  return new PsError('PS_PROTOCOL', `malformed value: ${what}`, { cause });
}
