/**
 * One message ↔ its header: a msgpack map of "t" and the fields of the message's schema, in their order. A header with
 * its fields in that order and no others, as pslib writes it, is read without an object in between; any other is
 * read into one, and its fields are looked up.
 */
import { PsError } from '../base/errors.js';
import { MAX_HEADER_ARRAY, MAX_HEADER_DEPTH, MAX_HEADER_MAP } from './limits.js';
import type { Message } from './messages.js';
import { type MsgpackBounds, MsgpackReader } from './msgpackReader.js';
import { MsgpackWriter } from './msgpackWriter.js';
import { type Field, SCHEMAS } from './schema.js';

/** A field, and its name as MessagePack. */
interface NamedField {
  readonly field: Field;
  readonly key: Uint8Array;
}

const BOUNDS: MsgpackBounds = {
  what: 'message: header',
  maxDepth: MAX_HEADER_DEPTH,
  maxArray: MAX_HEADER_ARRAY,
  maxMap: MAX_HEADER_MAP,
};
const writer = new MsgpackWriter(MAX_HEADER_DEPTH);
/** Most entries of a map whose head is one byte. */
const SHORT_MAP = 15;
const TYPE_KEY = keyOf('t');

const fieldsOf: ReadonlyMap<number, readonly NamedField[]> = new Map(
  [...SCHEMAS].map(([type, { fields }]) => [
    type,
    fields.map((field) => ({ field, key: keyOf(field.name) })),
  ]),
);

function keyOf(name: string): Uint8Array {
  return new MsgpackWriter(0).encode(name).slice();
}

/**
 * Writes the header of `message` to `target` from `at` on; returns where it ends. REQUIRES: room for
 * MAX_HEADER_BYTES.
 */
export function writeHeader(message: Message, target: Uint8Array, at: number): number {
  const fields = fieldsOf.get(message.t) ?? [];
  const values = message as unknown as Record<string, unknown>;
  const isShort = fields.length < SHORT_MAP;
  writer.begin(target, at);
  // The count of a short map stands in its first byte, and is known when all are written.
  writer.map(isShort ? 0 : 1 + fields.filter(({ field }) => isWritten(field, values[field.name])).length);
  writer.raw(TYPE_KEY);
  writer.value(message.t, 1);
  let count = 1;
  for (const { field, key } of fields) {
    const value = values[field.name];
    if (!isWritten(field, value)) continue;
    writer.raw(key);
    writer.value(field.kind.encode(value as never), 1);
    count++;
  }
  if (isShort) target[at] = 0x80 | count;
  if (writer.bytes !== target) throw new PsError('PS_INTERNAL', 'a header is longer than any header may be');
  return writer.at;
}

function isWritten({ isFlag }: Field, value: unknown): boolean {
  return value !== undefined && !(isFlag && value === false);
}

/**
 * Reads the header that stands in `bytes` from `at` to `end`; `payloadBytes` is what its frame says will follow. Throws
 * `PS_PROTOCOL`.
 */
export function readHeader(
  bytes: Uint8Array,
  payloadBytes: number,
  at: number = 0,
  end: number = bytes.length,
): Message {
  const message = readInOrder(bytes, at, end) ?? readAny(bytes, at, end);
  const schema = SCHEMAS.get(message.t);
  if (payloadBytes > 0 && schema?.hasPayload !== true) throw malformed(`${schema?.name} carries no payload`);
  return message;
}

/** A header whose fields stand in the order of their schema; undefined for any other. Throws if it is not msgpack. */
export function readInOrder(
  bytes: Uint8Array,
  at: number = 0,
  end: number = bytes.length,
): Message | undefined {
  const map = at < end ? (bytes[at] as number) : 0;
  if (map >> 4 !== 8) return undefined;
  const reader = new MsgpackReader(bytes, BOUNDS, at + 1, end);
  if (!reader.take(TYPE_KEY)) return undefined;
  const type = reader.value(1);
  const fields = fieldsOf.get(type as number);
  if (fields === undefined) return undefined;
  const message: Record<string, unknown> = { t: type };
  let left = (map & 15) - 1;
  for (const { field, key } of fields) {
    if (left > 0 && reader.take(key)) {
      left--;
      const value = field.kind.decode(reader.value(1));
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

function readAny(bytes: Uint8Array, at: number, end: number): Message {
  const first = at < end ? (bytes[at] as number) : 0;
  if (first >> 4 !== 8 && first !== 0xde) throw malformed('header is not a map');
  const fields = new MsgpackReader(bytes, BOUNDS, at, end).whole() as Record<string, unknown>;
  const type = Object.hasOwn(fields, 't') ? fields.t : undefined;
  const schema = typeof type === 'number' ? SCHEMAS.get(type) : undefined;
  if (schema === undefined) throw malformed(`unknown message type ${String(type).slice(0, 20)}`);
  const message: Record<string, unknown> = { t: type };
  for (const field of schema.fields) {
    const raw = Object.hasOwn(fields, field.name) ? fields[field.name] : undefined;
    if (raw === undefined) {
      if (!field.isOptional) throw malformed(`${schema.name} lacks ${field.name}`);
      if (field.isFlag) message[field.name] = false;
      continue;
    }
    const value = field.kind.decode(raw);
    if (value === undefined) throw malformed(`${schema.name}.${field.name} is not of its kind`);
    message[field.name] = value;
  }
  return message as unknown as Message;
}

function malformed(what: string): PsError {
  return new PsError('PS_PROTOCOL', `malformed message: ${what}`);
}
