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
import { describe, PsError } from '../base/errors.js';
import { MAX_VALUE_DEPTH, MAX_VALUES } from './limits.js';
import { MsgpackReader } from './msgpackReader.js';
import { type Extension, MsgpackWriter } from './msgpackWriter.js';
import { dateOfTimestamp, timestampOf } from './timestamp.js';

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
const TIMESTAMP_EXTENSION = -1;
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

const writer = new MsgpackWriter(MAX_VALUE_DEPTH, toExtension);
const BOUNDS = {
  what: 'value: its structure',
  maxDepth: MAX_VALUE_DEPTH,
  maxArray: Number.POSITIVE_INFINITY,
  maxMap: Number.POSITIVE_INFINITY,
  maxValues: MAX_VALUES,
  fromExtension,
};

/**
 * The bytes of `value`. `name` is what the error calls it. Throws `PS_VALUE_INVALID` for what has no
 * bytes: functions, symbols, objects of classes, cycles; and for more than MAX_VALUES values outside of typed arrays.
 */
export function encodeValue(value: unknown, name = 'value'): EncodedValue {
  arrays = [];
  let structure: Uint8Array;
  try {
    structure = writer.encode(value);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PsError('PS_VALUE_INVALID', `${name} can't be sent: ${reason}`, { cause });
  }
  if (writer.values > MAX_VALUES) {
    const text = `${name} can't be sent: it has more than ${MAX_VALUES} values; use typed arrays`;
    throw new PsError('PS_VALUE_INVALID', text);
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
  source = bytes;
  sourceAt = padded(end);
  const value = new MsgpackReader(structure, BOUNDS).whole();
  const isWhole = sourceAt === bytes.length;
  source = ZEROS;
  if (!isWhole) throw malformed('its arrays are not those of its structure');
  return value;
}

function toExtension(value: object | bigint): Extension | undefined {
  if (typeof value === 'bigint') return { type: BIGINT_EXTENSION, data: encodeBigint(value) };
  if (Array.isArray(value)) return undefined;
  const isBuffer = value instanceof ArrayBuffer;
  if (isBuffer || ArrayBuffer.isView(value)) {
    const kind = isBuffer ? ARRAY_BUFFER : ARRAY_KINDS.findIndex((Kind) => value instanceof Kind);
    if (kind < 0) throw new PsError('PS_VALUE_INVALID', `it holds ${describe(value)}`);
    const array = isBuffer
      ? new Uint8Array(value)
      : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    arrays.push(array);
    const reference = new Uint8Array(5);
    reference[0] = kind;
    new DataView(reference.buffer).setUint32(1, array.length, true);
    return { type: ARRAY_EXTENSION, data: reference };
  }
  if (isDate(value)) return { type: TIMESTAMP_EXTENSION, data: timestampOf(value) };
  mustBePlain(value);
  return undefined;
}

function fromExtension(type: number, data: Uint8Array): unknown {
  if (type === ARRAY_EXTENSION) return decodeArray(data);
  if (type === BIGINT_EXTENSION) return decodeBigint(data);
  return type === TIMESTAMP_EXTENSION ? (dateOfTimestamp(data) ?? refuseDate()) : undefined;
}

function refuseDate(): never {
  throw malformed('a date is none');
}

/** An object of a class would lose its class, a Map its entries. */
function mustBePlain(value: object): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return;
  // A plain object of another realm.
  if (Object.getPrototypeOf(prototype) === null && !(value instanceof Map || value instanceof Set)) return;
  const { name } = value.constructor;
  throw new PsError('PS_VALUE_INVALID', `an object of class ${name} has no bytes; a plain object has`);
}

function isDate(value: object): value is Date {
  return Object.prototype.toString.call(value) === '[object Date]';
}

function decodeArray(reference: Uint8Array): unknown {
  if (reference.length !== 5) throw malformed('an array lacks its kind');
  const bytes = new DataView(reference.buffer, reference.byteOffset, 5).getUint32(1, true);
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

function encodeBigint(value: bigint): Uint8Array {
  const digits = value.toString();
  if (digits.length > MAX_BIGINT_DIGITS)
    throw new PsError('PS_VALUE_INVALID', `it holds a bigint of ${digits.length} digits`);
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

function malformed(what: string): PsError {
  return new PsError('PS_PROTOCOL', `malformed value: ${what}`);
}
