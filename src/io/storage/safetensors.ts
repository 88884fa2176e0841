/**
 * The safetensors container: named tensors and a map of strings, readable by many tools.
 *
 *     file   = u64 header bytes | header | data
 *     header = JSON { "__metadata__": { text: text }, name: { "dtype", "shape", "data_offsets": [begin, end] } … },
 *              with spaces behind it so that the data begins at a multiple of 8
 *     data   = the tensors without gaps, row-major, little-endian
 */
import { PsError } from '../../core/base/errors.js';
import { lengthOfShape } from '../../core/tensor/tensor.js';

/** One tensor of a file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where it lies in the data. */
  readonly begin: number;
  readonly end: number;
}

/** What a file holds. */
export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of the data. */
  readonly entries: readonly TensorEntry[];
  /** Where the data begins in the file. */
  readonly dataAt: number;
  /** Bytes of the data. */
  readonly dataBytes: number;
}

/** Bytes before the header. */
export const LENGTH_BYTES = 8;
/** Longest header that is read, as in other readers. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA = '__metadata__';
const DTYPE_BYTES: Readonly<Record<string, number>> = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, U16: 2, I16: 2, F16: 2, BF16: 2 },
  ...{ U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8 },
};

/** Bytes of a tensor; undefined for a type that is not known. */
function tensorBytes(dtype: string, shape: readonly number[]): number | undefined {
  const size = Object.hasOwn(DTYPE_BYTES, dtype) ? DTYPE_BYTES[dtype] : undefined;
  return size === undefined ? undefined : size * lengthOfShape(shape);
}

/** The bytes before the data of a file with these tensors, which lie one behind the other. */
export function encodeSafetensorsHeader(
  metadata: ReadonlyMap<string, string>,
  tensors: readonly Pick<TensorEntry, 'name' | 'dtype' | 'shape'>[],
): Uint8Array {
  let at = 0;
  const fields = tensors.map(({ name, dtype, shape }) => {
    const begin = at;
    at += tensorBytes(dtype, shape) as number;
    return [name, { dtype, shape, data_offsets: [begin, at] }] as const;
  });
  // Not one object: JavaScript would put names that are numbers first.
  const parts = [[METADATA, Object.fromEntries(metadata)] as const, ...fields].map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
  );
  const json = new TextEncoder().encode(`{${parts.join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(LENGTH_BYTES + headerBytes).fill(0x20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, headerBytes, true);
  view.setUint32(4, 0, true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}

/** The length of the header, from the first 8 bytes of a file of `fileBytes`. Throws `PS_CORRUPT`. */
export function headerLength(start: Uint8Array, fileBytes: number): number {
  if (start.length < LENGTH_BYTES) throw notSafetensors('it is too short');
  const view = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES);
  const length = view.getUint32(0, true);
  if (view.getUint32(4, true) !== 0 || length > MAX_HEADER_BYTES || LENGTH_BYTES + length > fileBytes) {
    throw notSafetensors('its header does not fit into it');
  }
  return length;
}

/** Reads a header. Throws `PS_CORRUPT` unless the tensors fill the data of a file of `fileBytes` exactly. */
export function decodeSafetensorsHeader(header: Uint8Array, fileBytes: number): SafetensorsHeader {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch (cause) {
    throw new PsError('PS_CORRUPT', 'not a safetensors file: its header is not JSON', { cause });
  }
  if (!isObject(json)) throw notSafetensors('its header is not an object');
  const metadata = new Map<string, string>();
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name !== METADATA) {
      entries.push(entryOf(name, value));
      continue;
    }
    if (!isObject(value)) throw notSafetensors('its metadata is not an object');
    for (const [key, text] of Object.entries(value)) if (typeof text === 'string') metadata.set(key, text);
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  const dataAt = LENGTH_BYTES + header.length;
  let at = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== at) throw notSafetensors(`there is a gap before, or an overlap with, the tensor "${name}"`);
    at = end;
  }
  if (dataAt + at !== fileBytes) throw notSafetensors(`it has ${fileBytes} bytes instead of ${dataAt + at}`);
  return { metadata, entries, dataAt, dataBytes: at };
}

function entryOf(name: string, value: unknown): TensorEntry {
  const { dtype, shape, data_offsets: offsets } = (isObject(value) ? value : {}) as Record<string, unknown>;
  const isShape = Array.isArray(shape) && shape.every(isSize);
  const isRange = Array.isArray(offsets) && offsets.length === 2 && offsets.every(isSize);
  if (typeof dtype !== 'string' || !isShape || !isRange)
    throw notSafetensors(`the tensor "${name}" is not described`);
  const [begin, end] = offsets as [number, number];
  if (tensorBytes(dtype, shape as number[]) !== end - begin) {
    throw notSafetensors(`the tensor "${name}" has ${end - begin} bytes, which is not ${dtype} of its shape`);
  }
  return { name, dtype, shape: shape as number[], begin, end };
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notSafetensors(what: string): PsError {
  return new PsError('PS_CORRUPT', `not a safetensors file: ${what}`);
}
