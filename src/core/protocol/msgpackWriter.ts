/**
 * MessagePack, written: nil, booleans, numbers, strings, bytes, arrays, maps with string keys, and what its owner
 * says as extensions. Each value takes its shortest form, integers and floats apart; floats are binary64. It writes
 * into memory that it is given or into its own, which grows. Kinds that nobody here sends (binary32) it does not write.
 */
import { PsError } from '../base/errors.js';

/** A value that MessagePack has no kind for. */
export interface Extension {
  /** −128 to 127. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** How objects and bigints are written that are more than MessagePack can say; undefined: as it says them. */
export type ToExtension = (value: object | bigint) => Extension | undefined;

/** Strings that are not longer are tried as ASCII first, letter by letter: faster than the platform's encoder. */
export const SHORT_STRING = 64;
const utf8 = new TextEncoder();
const floatBytes = new Uint8Array(8);
const float = new DataView(floatBytes.buffer);

/** Writes values one behind the other. */
export class MsgpackWriter {
  readonly #maxDepth: number;
  readonly #toExtension: ToExtension | undefined;
  #bytes = new Uint8Array(0);
  #at = 0;
  #values = 0;

  /** `maxDepth`: arrays and maps that may stand in each other. */
  constructor(maxDepth: number, toExtension?: ToExtension) {
    this.#maxDepth = maxDepth;
    this.#toExtension = toExtension;
  }

  /** The bytes of `value` alone: a view that is valid until the next call. Throws `PS_VALUE_INVALID`. */
  encode(value: unknown): Uint8Array {
    this.begin(this.#bytes, 0);
    this.value(value);
    return this.#bytes.subarray(0, this.#at);
  }

  /** From now on writes to `target`, from `at` on; to a larger copy of it if it has no more room. */
  begin(target: Uint8Array, at: number): void {
    this.#bytes = target as Uint8Array<ArrayBuffer>;
    this.#at = at;
    this.#values = 0;
  }

  /** Values written since `begin` in arrays and maps, keys of maps too. */
  get values(): number {
    return this.#values;
  }

  /** Where the next value goes. */
  get at(): number {
    return this.#at;
  }

  /** What is written to. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Writes `bytes` as they are. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    const from = this.#at;
    // The keys of headers are short.
    if (bytes.length > 16) this.#bytes.set(bytes, from);
    else for (let i = 0; i < bytes.length; i++) this.#bytes[from + i] = bytes[i] as number;
    this.#at = from + bytes.length;
  }

  /** Writes any value. `depth`: arrays and maps that it stands in. */
  value(value: unknown, depth = 0): void {
    if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'string') this.#string(value);
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2);
    else if (value === undefined || value === null) this.#byte(0xc0);
    else this.#object(value, depth);
  }

  /** The head of a map; its keys and values follow. */
  map(entries: number): void {
    this.#head(entries, 0x80, 16, 0xdd);
  }

  #object(value: unknown, depth: number): void {
    const isSayable = typeof value === 'object' && value !== null;
    const extension = isSayable || typeof value === 'bigint' ? this.#toExtension?.(value) : undefined;
    if (extension !== undefined) this.#extension(extension);
    else if (!isSayable) throw unsayable(`it holds a ${typeof value}`);
    else if (value instanceof Uint8Array) {
      this.#head(value.length, 0, 0, 0xc4);
      this.raw(value);
    } else if (Array.isArray(value)) {
      this.#enter(value.length, depth);
      this.#values += value.length;
      this.#head(value.length, 0x90, 16, 0xdb);
      for (const each of value) this.value(each, depth + 1);
    } else {
      const keys = Object.keys(value);
      this.#enter(keys.length, depth);
      this.#values += 2 * keys.length;
      this.map(keys.length);
      for (const key of keys) {
        this.#string(key);
        this.value((value as Record<string, unknown>)[key], depth + 1);
      }
    }
  }

  #enter(count: number, depth: number): void {
    if (count > 0 && depth === this.#maxDepth) throw unsayable(`it is nested more than ${depth} deep`);
  }

  #extension({ type, data }: Extension): void {
    const { length } = data;
    const power = [1, 2, 4, 8, 16].indexOf(length);
    if (power >= 0) this.#byte(0xd4 + power);
    else this.#head(length, 0, 0, 0xc7);
    this.#byte(type);
    this.raw(data);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) {
      float.setFloat64(0, value);
      this.#byte(0xcb);
      this.raw(floatBytes);
    } else if (value >= -32 && value < 0x80) {
      this.#byte(value);
    } else {
      const reach = value < 0 ? -2 * value - 1 : value;
      const power = reach < 0x100 ? 0 : reach < 0x1_0000 ? 1 : reach < 0x1_0000_0000 ? 2 : 3;
      this.#byte((value < 0 ? 0xd0 : 0xcc) + power);
      this.#integer(value, 1 << power);
    }
  }

  #string(value: string): void {
    const { length } = value;
    if (length <= SHORT_STRING) {
      const start = this.#at;
      this.#head(length, 0xa0, 32, 0xd9);
      this.#reserve(length);
      let i = 0;
      for (let code = 0; i < length; i++) {
        code = value.charCodeAt(i);
        if (code > 127) break;
        this.#bytes[this.#at + i] = code;
      }
      this.#at += length;
      if (i === length) return;
      this.#at = start;
    }
    const bytes = utf8.encode(value);
    this.#head(bytes.length, 0xa0, 32, 0xd9);
    this.raw(bytes);
  }

  /**
   * A kind and a count: in one byte, `short` + count, if it is below `shorts`; else `code`, `code` + 1 or `code` + 2, and
   * the count in 1, 2 or 4 bytes. Arrays and maps lack the form with 1.
   */
  #head(count: number, short: number, shorts: number, code: number): void {
    if (count < shorts) {
      this.#byte(short | count);
      return;
    }
    const hasByteForm = shorts !== 16;
    const bytes = hasByteForm && count < 0x100 ? 1 : count < 0x1_0000 ? 2 : 4;
    this.#byte(code + (bytes >> 1));
    this.#integer(count, bytes);
  }

  /** Big-endian; a negative one as its two's complement. */
  #integer(value: number, bytes: number): void {
    this.#reserve(bytes);
    let rest = value;
    for (let i = bytes - 1; i >= 0; i--) {
      this.#bytes[this.#at + i] = rest;
      rest = Math.floor(rest / 256);
    }
    this.#at += bytes;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#at + bytes) + 256);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

function unsayable(what: string): PsError {
  return new PsError('PS_VALUE_INVALID', what);
}
