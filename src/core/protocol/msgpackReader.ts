/**
 * MessagePack, read, from bytes that nobody vouches for: bounds of depth and count are held as it goes, nothing is
 * allocated for what is only announced, and each byte is looked at a few times at most. Whatever is not exactly what was
 * asked for throws `PS_PROTOCOL`. Integers above 2^53 are the nearest numbers.
 */
import { PsError } from '../base/errors.js';
import { SHORT_STRING } from './msgpackWriter.js';

/** What may be read. */
export interface MsgpackBounds {
  /** What errors call it: `malformed ${what} is cut off`. */
  readonly what: string;
  /** Arrays and maps that may stand in each other. */
  readonly maxDepth: number;
  /** Most elements of an array. */
  readonly maxArray: number;
  /** Most entries of a map. */
  readonly maxMap: number;
  /** Most values in arrays and maps together: what takes a byte here may take a hundred in memory. Default: any number. */
  readonly maxValues?: number;
  /** What an extension stands for; undefined: its type is not known. `data` is a view. Default: none is known. */
  readonly fromExtension?: (type: number, data: Uint8Array) => unknown;
}

/** Ids and names come again and again: the last string of each length from here on is compared with before one is made. */
const REPEATED_STRING = 4;
const repeated: (string | undefined)[] = new Array(SHORT_STRING + 1).fill(undefined);
/** What a TextDecoder takes away by default belongs to the text. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Takes values from `bytes`, one behind the other, from `at` to `end`. What MessagePack holds as bytes comes as views of them. */
export class MsgpackReader {
  readonly #bytes: Uint8Array;
  readonly #bounds: MsgpackBounds;
  readonly #end: number;
  #at: number;
  #values = 0;

  constructor(bytes: Uint8Array, bounds: MsgpackBounds, at: number = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#bounds = bounds;
    this.#at = at;
    this.#end = end;
  }

  /** Takes the one value that all of the bytes are. */
  whole(): unknown {
    const value = this.value();
    if (!this.isAtEnd) throw this.#malformed('has bytes after it');
    return value;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  /** Passes over `bytes`, if they come next. */
  take(bytes: Uint8Array): boolean {
    if (bytes.length > this.#end - this.#at) return false;
    for (let i = 0; i < bytes.length; i++) if (this.#bytes[this.#at + i] !== bytes[i]) return false;
    this.#at += bytes.length;
    return true;
  }

  /** Takes the next value. `depth`: arrays and maps that it stands in. */
  value(depth = 0): unknown {
    const code = this.#uint(1);
    if (code < 0x80) return code;
    if (code < 0x90) return this.#map(code & 15, depth);
    if (code < 0xa0) return this.#array(code & 15, depth);
    if (code < 0xc0) return this.#string(code & 31);
    if (code >= 0xe0) return code - 0x100;
    if (code >= 0xd9) {
      const count = this.#uint(code < 0xdc ? 1 << (code - 0xd9) : 2 << (code & 1));
      if (code < 0xdc) return this.#string(count);
      return code < 0xde ? this.#array(count, depth) : this.#map(count, depth);
    }
    if (code >= 0xd4) return this.#extension(1 << (code - 0xd4));
    if (code >= 0xd0) return this.#int(1 << (code - 0xd0));
    if (code >= 0xcc) return this.#uint(1 << (code - 0xcc));
    if (code >= 0xca) return this.#float(code === 0xca ? 4 : 8);
    if (code >= 0xc7) return this.#extension(this.#uint(1 << (code - 0xc7)));
    if (code >= 0xc4) return this.#take(this.#uint(1 << (code - 0xc4)));
    if (code === 0xc1) throw this.#malformed('holds a byte that is not msgpack');
    return code === 0xc0 ? null : code === 0xc3;
  }

  #array(count: number, depth: number): unknown[] {
    this.#enter(count, count, depth, this.#bounds.maxArray, 'too long an array');
    const items: unknown[] = [];
    for (let left = count; left > 0; left--) items.push(this.value(depth + 1));
    return items;
  }

  #map(count: number, depth: number): Record<string, unknown> {
    this.#enter(count, 2 * count, depth, this.#bounds.maxMap, 'too large a map');
    const fields: Record<string, unknown> = {};
    for (let left = count; left > 0; left--) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string' && typeof key !== 'number')
        throw this.#malformed('holds a key that is no text');
      // It would set the object's prototype.
      if (key === '__proto__') throw this.#malformed('holds the key __proto__');
      fields[key] = this.value(depth + 1);
    }
    return fields;
  }

  #enter(count: number, values: number, depth: number, most: number, what: string): void {
    const { maxValues = Number.POSITIVE_INFINITY } = this.#bounds;
    if (count > most) throw this.#malformed(`holds ${what}`);
    this.#values += values;
    if (this.#values > maxValues) throw this.#malformed(`holds more than ${maxValues} values`);
    if (count > 0 && depth === this.#bounds.maxDepth) throw this.#malformed('is nested too deeply');
    // Each value is one byte at least.
    if (count > this.#end - this.#at) throw this.#cutOff();
  }

  #extension(length: number): unknown {
    const type = this.#int(1);
    const data = this.#take(length);
    const value = this.#bounds.fromExtension?.(type, data);
    if (value === undefined) throw this.#malformed('holds an unknown extension type');
    return value;
  }

  #string(length: number): string {
    const begin = this.#at;
    this.#skip(length);
    if (length <= SHORT_STRING) {
      const known = length >= REPEATED_STRING ? repeated[length] : undefined;
      if (known !== undefined && this.#isAt(begin, known)) return known;
      let text = '';
      let i = begin;
      for (let code = 0; i < this.#at; i++) {
        code = this.#bytes[i] as number;
        if (code > 127) break;
        text += String.fromCharCode(code);
      }
      if (i === this.#at) {
        repeated[length] = text;
        return text;
      }
    }
    return utf8.decode(this.#bytes.subarray(begin, this.#at));
  }

  #isAt(begin: number, text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      if (this.#bytes[begin + i] !== text.charCodeAt(i)) return false;
    }
    return true;
  }

  #float(length: number): number {
    const data = this.#take(length);
    const view = new DataView(data.buffer, data.byteOffset, length);
    return length === 4 ? view.getFloat32(0) : view.getFloat64(0);
  }

  #int(length: number): number {
    const sign = (this.#bytes[this.#at] as number) > 127 ? -1 : 0;
    return this.#uint(length, sign);
  }

  /** Big-endian. `high`: what stands before its first byte, −1 for a negative one in two's complement. */
  #uint(length: number, high = 0): number {
    // Rounded once.
    if (length === 8) return this.#uint(4, high) * 2 ** 32 + this.#uint(4);
    const begin = this.#at;
    this.#skip(length);
    let value = high;
    for (let i = begin; i < this.#at; i++) value = value * 256 + (this.#bytes[i] as number);
    return value;
  }

  #take(length: number): Uint8Array {
    this.#skip(length);
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #skip(length: number): void {
    if (length > this.#end - this.#at) throw this.#cutOff();
    this.#at += length;
  }

  #cutOff(): PsError {
    return this.#malformed('is cut off');
  }

  #malformed(what: string): PsError {
    return new PsError('PS_PROTOCOL', `malformed ${this.#bounds.what} ${what}`);
  }
}
