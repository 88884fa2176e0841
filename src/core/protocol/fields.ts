/**
 * The kinds of header fields: how each is checked when it comes from the network and how it is
 * written. A decoded value that is not of its kind is refused; nothing is coerced.
 */
import type { DataRange } from '../tasks/dataProgress.js';
import type { RowCount } from '../tensor/rowLayout.js';
import {
  MAX_DIM,
  MAX_HEADER_ARRAY,
  MAX_ID_LENGTH,
  MAX_LAGGARDS,
  MAX_METRICS,
  MAX_SPANS,
  MAX_TABLES,
  MAX_TENSORS,
  MAX_TEXT_LENGTH,
} from './limits.js';

import { OUTCOMES, WAIT_REASONS, type WireLaggard } from './messages.js';
import type { WireTable } from './rowMessages.js';
import { NON_FINITE } from './sessionMessages.js';
import type { VersionStamp } from './versionStamp.js';
import { isWorkerId } from './workerId.js';

/** One kind of field. `decode` returns undefined for a value that is not of the kind. */
export interface FieldKind {
  decode(value: unknown): unknown;
  encode(value: never): unknown;
}

const same = (value: unknown): unknown => value;

function isUint(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function decodeUint(value: unknown): number | undefined {
  return isUint(value) ? value : undefined;
}

function text(maxLength: number): FieldKind {
  return {
    decode: (value) => (typeof value === 'string' && value.length <= maxLength ? value : undefined),
    encode: same,
  };
}

/** Text that only people read: too long a one is cut rather than refused by the other end. */
const prose: FieldKind = {
  decode: text(MAX_TEXT_LENGTH).decode,
  encode: (value: string) => value.slice(0, MAX_TEXT_LENGTH),
};

function oneOf(names: readonly string[]): FieldKind {
  return {
    decode: (value) => (isUint(value) ? names[value] : undefined),
    encode: (value: string) => names.indexOf(value),
  };
}

/** A set of tensors as a bitmap: tensor i is bit i % 8 of byte i / 8. Rising positions in memory. */
const tensorSet: FieldKind = {
  decode: (value) => {
    if (!(value instanceof Uint8Array) || value.length > MAX_TENSORS / 8) return undefined;
    const indices: number[] = [];
    for (let byte = 0; byte < value.length; byte++) {
      const bits = value[byte] as number;
      for (let bit = 0; bit < 8; bit++) if ((bits >> bit) & 1) indices.push(byte * 8 + bit);
    }
    return indices;
  },
  encode: (indices: readonly number[]) => {
    const last = indices[indices.length - 1];
    const bitmap = new Uint8Array(last === undefined ? 0 : (last >> 3) + 1);
    for (const index of indices) bitmap[index >> 3] = (bitmap[index >> 3] as number) | (1 << (index & 7));
    return bitmap;
  },
};

const stamp: FieldKind = {
  decode: (value): VersionStamp | undefined => {
    if (!Array.isArray(value)) return undefined;
    const [incarnation, version] = value as unknown[];
    if (typeof incarnation !== 'string' || incarnation.length > MAX_ID_LENGTH || !isUint(version))
      return undefined;
    return { incarnation, version };
  },
  encode: (value: VersionStamp) => [value.incarnation, value.version],
};

const laggards: FieldKind = {
  decode: (value): readonly WireLaggard[] | undefined => {
    if (!Array.isArray(value) || value.length > MAX_LAGGARDS) return undefined;
    for (const each of value as unknown[]) {
      if (!Array.isArray(each)) return undefined;
      const [id, clock, lastSeenMs] = each as unknown[];
      if (typeof id !== 'string' || !isUint(clock) || !isUint(lastSeenMs)) return undefined;
    }
    return value as WireLaggard[];
  },
  encode: same,
};

const metrics: FieldKind = {
  decode: (value): Record<string, number> | undefined => {
    if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
      return undefined;
    }
    const names = Object.keys(value);
    if (names.length > MAX_METRICS) return undefined;
    const result: Record<string, number> = Object.create(null) as Record<string, number>;
    for (const name of names) {
      const number = (value as Record<string, unknown>)[name];
      if (typeof number !== 'number' || name.length > MAX_ID_LENGTH) return undefined;
      result[name] = number;
    }
    return result;
  },
  encode: same,
};

/** Integers from 0. */
const uints: FieldKind = {
  decode: (value): readonly number[] | undefined =>
    Array.isArray(value) && value.length <= MAX_HEADER_ARRAY && value.every(isUint) ? value : undefined,
  encode: same,
};

/** Begin and end of each of some ranges, in order: not empty, and with something between two of them. */
const spans: FieldKind = {
  decode: (value): readonly number[] | undefined => {
    if (!Array.isArray(value) || value.length > 2 * MAX_SPANS || value.length % 2 === 1) return undefined;
    const isRising = value.every((each, i) => isUint(each) && (i === 0 || each > (value[i - 1] as number)));
    return isRising ? (value as number[]) : undefined;
  },
  encode: same,
};

/** What a push covers: data set, epoch, data shard, its begin and end, from, to, lease. */
const dataRange: FieldKind = {
  decode: (value): DataRange | undefined => {
    if (!Array.isArray(value) || value.length < 8 || !value.every(isUint)) return undefined;
    const [dataSet, epoch, dataShard, begin, end, from, to, lease] = value as unknown as RangeNumbers;
    const isRange = dataSet > 0 && lease > 0 && begin <= from && from < to && to <= end;
    return isRange ? { dataSet, epoch, dataShard, begin, end, from, to, lease } : undefined;
  },
  encode: ({ dataSet, epoch, dataShard, begin, end, from, to, lease }: DataRange): RangeNumbers => [
    ...([dataSet, epoch, dataShard, begin] as const),
    ...([end, from, to, lease] as const),
  ],
};
type RangeNumbers = [number, number, number, number, number, number, number, number];
/** Rows of tables: pairs of a table's position, rising, and the number of its rows; 0: all are at other shards. */
const rowCounts: FieldKind = {
  decode: (value): readonly RowCount[] | undefined => {
    if (!Array.isArray(value) || value.length > MAX_TABLES) return undefined;
    const counts: RowCount[] = [];
    for (const each of value as unknown[]) {
      if (!Array.isArray(each)) return undefined;
      const [table, count] = each as unknown[];
      if (!isUint(table) || table >= MAX_TABLES || !isUint(count)) return undefined;
      if (table <= (counts.at(-1)?.table ?? -1)) return undefined;
      counts.push({ table, count });
    }
    return counts;
  },
  encode: (counts: readonly RowCount[]) => counts.map(({ table, count }) => [table, count]),
};

/** Sparse tables: name, numbers per row, and perhaps how many rows it may have. */
const tables: FieldKind = {
  decode: (value): readonly WireTable[] | undefined => {
    if (!Array.isArray(value) || value.length > MAX_TABLES) return undefined;
    const found: WireTable[] = [];
    for (const each of value as unknown[]) {
      if (!Array.isArray(each)) return undefined;
      const [name, dim, maxRows] = each as unknown[];
      if (typeof name !== 'string' || name.length === 0 || name.length > MAX_ID_LENGTH) return undefined;
      if (!isUint(dim) || dim === 0 || dim > MAX_DIM) return undefined;
      if (maxRows !== undefined && (!isUint(maxRows) || maxRows === 0)) return undefined;
      found.push(maxRows === undefined ? { name, dim } : { name, dim, maxRows });
    }
    return found;
  },
  encode: (given: readonly WireTable[]) =>
    given.map(({ name, dim, maxRows }) => (maxRows === undefined ? [name, dim] : [name, dim, maxRows])),
};

/** The name of a kind in a message's layout. */
export type FieldKindName =
  | 'uint'
  | 'count'
  | 'boolean'
  | 'number'
  | 'id'
  | 'text'
  | 'outcome'
  | 'waitReason'
  | 'nonFinite'
  | 'tensorSet'
  | 'stamp'
  | 'laggards'
  | 'metrics'
  | 'uints'
  | 'spans'
  | 'dataRange'
  | 'rowCounts'
  | 'tables';

/** Every kind of field that a header can hold. */
export const FIELD_KINDS: Readonly<Record<FieldKindName, FieldKind>> = {
  uint: { decode: decodeUint, encode: same },
  /** An integer from 1. */
  count: { decode: (value) => (isUint(value) && value > 0 ? value : undefined), encode: same },
  boolean: { decode: (value) => (typeof value === 'boolean' ? value : undefined), encode: same },
  number: { decode: (value) => (typeof value === 'number' ? value : undefined), encode: same },
  id: { decode: (value) => (isWorkerId(value) ? value : undefined), encode: same },
  text: prose,
  outcome: oneOf(OUTCOMES),
  waitReason: oneOf(WAIT_REASONS),
  nonFinite: oneOf(NON_FINITE),
  tensorSet,
  stamp,
  laggards,
  metrics,
  uints,
  spans,
  dataRange,
  rowCounts,
  tables,
};
