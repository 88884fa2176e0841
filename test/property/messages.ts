/** Any message of the protocol, with any fields of their kinds. */
import fc from 'fast-check';
import { FIELD_KINDS, type FieldKind } from '../../src/core/protocol/fields.js';
import { type Message, MessageType, OUTCOMES, WAIT_REASONS } from '../../src/core/protocol/messages.js';
import { type Field, SCHEMAS } from '../../src/core/protocol/schema.js';
import { NON_FINITE } from '../../src/core/protocol/sessionMessages.js';

/** Any well-formed text of up to `maxLength` UTF-16 code units. */
function text(minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.oneof(
    fc
      .string({ minLength, maxLength: Math.min(maxLength, 40), unit: 'grapheme' })
      .filter((each) => each.length <= maxLength),
    fc.string({ minLength, maxLength: Math.floor(maxLength / 2), unit: 'binary' }),
  );
}

const uint = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 0, max: 2 ** 32 + 2 }),
  fc.maxSafeNat(),
);
const count = uint.map((value) => Math.max(1, value));
const id = text(1, 128);
// MessagePack has one zero only.
const number = fc.double().map((value) => (value === 0 ? 0 : value));

const byKind = new Map<FieldKind, fc.Arbitrary<unknown>>([
  [FIELD_KINDS.uint, uint],
  [FIELD_KINDS.count, count],
  [FIELD_KINDS.boolean, fc.boolean()],
  [FIELD_KINDS.number, number],
  [FIELD_KINDS.id, id.filter((each) => !/\p{Cc}/u.test(each))],
  [FIELD_KINDS.text, text(0, 1024)],
  [FIELD_KINDS.outcome, fc.constantFrom(...OUTCOMES)],
  [FIELD_KINDS.waitReason, fc.constantFrom(...WAIT_REASONS)],
  [FIELD_KINDS.nonFinite, fc.constantFrom(...NON_FINITE)],
  [
    FIELD_KINDS.tensorSet,
    fc
      .uniqueArray(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 65_535 })), {
        maxLength: 30,
      })
      .map((indices) => indices.sort((a, b) => a - b)),
  ],
  [FIELD_KINDS.stamp, fc.record({ incarnation: text(0, 128), version: uint })],
  [FIELD_KINDS.laggards, fc.array(fc.tuple(text(0, 128), uint, uint), { maxLength: 8 })],
  [
    FIELD_KINDS.metrics,
    fc.dictionary(fc.string({ maxLength: 128 }), number, { maxKeys: 32, noNullPrototype: false }),
  ],
]);

byKind.set(
  FIELD_KINDS.spans,
  fc
    .uniqueArray(uint, { maxLength: 40 })
    .map((ends) => ends.sort((a, b) => a - b).slice(0, ends.length - (ends.length % 2))),
);

byKind.set(
  FIELD_KINDS.rowCounts,
  fc
    .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 63 }), count), {
      selector: ([table]) => table,
      maxLength: 8,
    })
    .map((rows) => rows.sort(([a], [b]) => a - b).map(([table, rowCount]) => ({ table, count: rowCount }))),
);
byKind.set(
  FIELD_KINDS.tables,
  fc.array(
    fc
      .tuple(id, fc.integer({ min: 1, max: 4096 }), fc.option(count, { nil: undefined }))
      .map(([name, dim, maxRows]) => (maxRows === undefined ? { name, dim } : { name, dim, maxRows })),
    { maxLength: 6 },
  ),
);
byKind.set(FIELD_KINDS.uints, fc.array(uint, { maxLength: 20 }));
byKind.set(
  FIELD_KINDS.dataRange,
  fc
    .tuple(count, uint, uint, fc.array(fc.maxSafeNat(), { minLength: 4, maxLength: 4 }), count)
    .map(([dataSet, epoch, dataShard, positions, lease]) => {
      const [begin, from, to, end] = positions.sort((a, b) => a - b) as [number, number, number, number];
      const isEmpty = from === to;
      return isEmpty
        ? { dataSet, epoch, dataShard, begin: 0, end: 1, from: 0, to: 1, lease }
        : { dataSet, epoch, dataShard, begin, end, from, to, lease };
    }),
);

function fieldArbitrary({ name, kind, isFlag, isOptional }: Field): fc.Arbitrary<[string, unknown]> {
  const arbitrary = byKind.get(kind);
  if (arbitrary === undefined) throw new Error(`no arbitrary for the kind of ${name}`);
  const value = isOptional && !isFlag ? fc.option(arbitrary, { nil: undefined }) : arbitrary;
  return value.map((each) => [name, each]);
}

/** Any message of type `type`. */
function messageOfType(type: number): fc.Arbitrary<Message> {
  const fields = SCHEMAS.get(type)?.fields ?? [];
  const entries = fc.tuple(...fields.map(fieldArbitrary));
  return entries.map((each) => ({ t: type, ...Object.fromEntries(each) }) as unknown as Message);
}

/** Any message. */
const anyMessage: fc.Arbitrary<Message> = fc.constantFrom(...Object.values(MessageType)).chain(messageOfType);

/** Any message, and a payload where its type has one. */
export const anyFrame: fc.Arbitrary<{ message: Message; payload: Uint8Array }> = anyMessage.chain(
  (message) => {
    const hasPayload = SCHEMAS.get(message.t)?.hasPayload === true;
    const payload = hasPayload ? fc.uint8Array({ maxLength: 64 }) : fc.constant(new Uint8Array(0));
    return payload.map((bytes) => ({ message, payload: bytes }));
  },
);
