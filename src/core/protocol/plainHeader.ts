/**
 * Headers of the common kind, without the detour over objects of a general MessagePack codec: a map of the fields of one
 * message, in the order of its schema, whose values are integers from 0, booleans, short ASCII strings, and short
 * arrays of these. The bytes are those that the general codec writes; what is of another kind is left to it.
 */
import type { Message } from './messages.js';
import { type Field, SCHEMAS } from './schema.js';

/** A field, and its name as MessagePack. */
interface NamedField {
  readonly field: Field;
  readonly key: Uint8Array;
}

const LONGEST_STRING = 127;
const LONGEST_ARRAY = 15;
/** "t", and the type of the message behind it. */
const TYPE_KEY = [0xa1, 0x74];

const fieldsOf: ReadonlyMap<number, readonly NamedField[]> = new Map(
  [...SCHEMAS].map(([type, { fields }]) => [
    type,
    fields.map((field) => ({ field, key: keyOf(field.name) })),
  ]),
);

function keyOf(name: string): Uint8Array {
  return Uint8Array.of(0xa0 | name.length, ...[...name].map((letter) => letter.charCodeAt(0)));
}

/**
 * Writes the header of `message` to `target` from `at` on; returns where it ends, or −1 if it is not of the common
 * kind. REQUIRES: room for 16 KiB.
 */
export function writePlainHeader(message: Message, target: Uint8Array, at: number): number {
  const fields = fieldsOf.get(message.t);
  // All field names and short values of 15 entries fit with room to spare.
  if (fields === undefined || fields.length > LONGEST_ARRAY - 1) return -1;
  const values = message as unknown as Record<string, unknown>;
  target[at + 1] = TYPE_KEY[0] as number;
  target[at + 2] = TYPE_KEY[1] as number;
  let count = 1;
  let end = writeUint(message.t, target, at + 3);
  for (const { field, key } of fields) {
    const value = values[field.name];
    if (value === undefined || (field.isFlag && value === false)) continue;
    target.set(key, end);
    end = writeValue(field.kind.encode(value as never), target, end + key.length);
    if (end < 0) return -1;
    count++;
  }
  target[at] = 0x80 | count;
  return end;
}

function writeValue(value: unknown, target: Uint8Array, at: number): number {
  if (typeof value === 'number') return writeUint(value, target, at);
  if (typeof value === 'string') return writeString(value, target, at);
  if (typeof value === 'boolean') {
    target[at] = value ? 0xc3 : 0xc2;
    return at + 1;
  }
  if (!Array.isArray(value) || value.length > LONGEST_ARRAY) return -1;
  target[at] = 0x90 | value.length;
  let end = at + 1;
  for (const each of value) {
    // One level is enough; deeper ones are not short.
    end = Array.isArray(each) ? -1 : writeValue(each, target, end);
    if (end < 0) return -1;
  }
  return end;
}

function writeUint(value: number, target: Uint8Array, at: number): number {
  if (!Number.isSafeInteger(value) || value < 0) return -1;
  if (value < 0x80) {
    target[at] = value;
    return at + 1;
  }
  const bytes = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x1_0000_0000 ? 4 : 8;
  target[at] = bytes === 1 ? 0xcc : bytes === 2 ? 0xcd : bytes === 4 ? 0xce : 0xcf;
  let rest = value;
  for (let i = bytes; i > 0; i--) {
    target[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return at + 1 + bytes;
}

function writeString(value: string, target: Uint8Array, at: number): number {
  const { length } = value;
  if (length > LONGEST_STRING) return -1;
  let end = at;
  if (length > 31) target[end++] = 0xd9;
  target[end++] = length > 31 ? length : 0xa0 | length;
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    if (code > 127) return -1;
    target[end++] = code;
  }
  return end;
}

/**
 * Reads a header of the common kind; undefined if it is not, or is not one at all: the general codec tells which.
 */
export function readPlainHeader(header: Uint8Array): Message | undefined {
  const [map = 0, keyLength, letter, type = 0] = header;
  const fields = fieldsOf.get(type);
  const isPlain = map >> 4 === 8 && keyLength === TYPE_KEY[0] && letter === TYPE_KEY[1] && type < 128;
  if (!isPlain || fields === undefined) return undefined;
  const reader = new PlainReader(header, 4);
  const message: Record<string, unknown> = { t: type };
  let left = (map & 15) - 1;
  for (const { field, key } of fields) {
    if (left > 0 && reader.takeKey(key)) {
      left--;
      const value = field.kind.decode(reader.value(true));
      if (value === undefined) return undefined;
      message[field.name] = value;
    } else if (!field.isOptional) {
      return undefined;
    } else if (field.isFlag) {
      message[field.name] = false;
    }
  }
  return left === 0 && reader.isAtEnd ? (message as unknown as Message) : undefined;
}

/** Takes values from a header. Whatever is not of the common kind, or cut off, is undefined. */
class PlainReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Passes over `key`, if it comes next. */
  takeKey(key: Uint8Array): boolean {
    for (let i = 0; i < key.length; i++) if (this.#bytes[this.#at + i] !== key[i]) return false;
    this.#at += key.length;
    return true;
  }

  value(mayBeArray: boolean): unknown {
    const first = this.#bytes[this.#at++];
    if (first === undefined) return undefined;
    if (first < 0x80) return first;
    if (first === 0xc2 || first === 0xc3) return first === 0xc3;
    if (first >= 0xcc && first <= 0xcf) return this.#uint(1 << (first - 0xcc));
    if (first >> 5 === 5) return this.#string(first & 31);
    if (first === 0xd9) return this.#string(this.#bytes[this.#at++] ?? LONGEST_STRING + 1);
    if (!mayBeArray || first >> 4 !== 9) return undefined;
    const items: unknown[] = [];
    for (let left = first & 15; left > 0; left--) {
      const item = this.value(false);
      if (item === undefined) return undefined;
      items.push(item);
    }
    return items;
  }

  #uint(bytes: number): number | undefined {
    let value = 0;
    for (let i = 0; i < bytes; i++) value = value * 256 + (this.#bytes[this.#at + i] ?? Number.NaN);
    this.#at += bytes;
    return Number.isSafeInteger(value) ? value : undefined;
  }

  #string(length: number): string | undefined {
    if (length > LONGEST_STRING) return undefined;
    let value = '';
    for (let i = 0; i < length; i++) {
      const code = this.#bytes[this.#at + i] ?? 255;
      if (code > 127) return undefined;
      value += String.fromCharCode(code);
    }
    this.#at += length;
    return value;
  }
}
