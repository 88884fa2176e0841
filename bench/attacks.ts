/**
 * Floods by name, as plans of processes that know nothing of the protocol. Each is what one machine can do to a
 * server that anybody may reach; `docs/guides/security.md` says what becomes of them.
 */
import { encodeFrame } from '../src/core/protocol/codec.js';
import { type Message, MessageType, PROTOCOL_VERSION } from '../src/core/protocol/messages.js';
import type { AttackPlan } from './attack.js';

/** What is done, but for the server's port. */
export type Attack = Omit<AttackPlan, 'port'> & { readonly name: string };

const MIB = 1_048_576;
/** As few bytes per write as still keep a socket busy. */
const BURST = 200;
const FINAL_BINARY = 0x82;

/** One frame of a client, with a mask of zeros. `first`: FIN, reserved bits and opcode. */
function frame(data: Uint8Array, first: number = FINAL_BINARY): Buffer {
  if (data.length < 126) return Buffer.concat([Buffer.of(first, 0x80 | data.length, 0, 0, 0, 0), data]);
  const short = Buffer.alloc(8);
  short[0] = first;
  short[1] = 0xfe;
  short.writeUInt16BE(data.length, 2);
  return Buffer.concat([short, data]);
}

/** The head of a frame of `length` bytes. */
function headOf(length: number): Buffer {
  const head = Buffer.alloc(14);
  head[0] = FINAL_BINARY;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

const message = (each: Message, payload?: Uint8Array): Buffer => frame(encodeFrame(each, payload));
const base64 = (...parts: Buffer[]): string => Buffer.concat(parts).toString('base64');
const times = (count: number, bytes: Buffer): Buffer[] => Array<Buffer>(count).fill(bytes);

/** The same id for all of a flood's connections would close each other: readers need no id of their own. */
const hello = message({
  ...{ t: MessageType.hello, protocol: PROTOCOL_VERSION, worker: 'flood', session: 'flood' },
  readOnly: true,
});
const pull = message({
  ...{ t: MessageType.pull, request: 1, training: false, clock: 0 },
  ...{ wait: false, consistent: true },
});

/** A header of arrays within arrays, as deep as it is long. */
function bomb(): Buffer {
  const bytes = Buffer.alloc(16_384, 0x91);
  bytes.writeUInt32LE(16_384 - 8, 0);
  return frame(bytes);
}

/** A message whose bytes come in a frame each: binary, continued, and FIN with the last. */
function inFragments(bytes: Uint8Array): Buffer {
  const last = bytes.length - 1;
  return Buffer.concat(
    [...bytes].map((byte, i) => frame(Uint8Array.of(byte), i === 0 ? 0x02 : i === last ? 0x80 : 0x00)),
  );
}

/** The floods, the mildest first. */
export const ATTACKS: readonly Attack[] = [
  { name: 'a process that only computes', connections: 0 },
  {
    name: '50 readers that read nothing',
    connections: 50,
    headers: [],
    first: base64(hello, pull),
    readBytesPerS: 0,
  },
  {
    name: '2 readers that drip, and return',
    ...{ connections: 2, headers: [], first: base64(hello, pull), readBytesPerS: 40_000 },
  },
  {
    name: '50 frames that never end',
    ...{ connections: 50, headers: [], first: base64(hello, headOf(MIB)), zeros: 100_000 },
    ...{ again: base64(Buffer.of(0)), everyMs: 20 },
  },
  { name: '500 half-open sockets', connections: 500, headers: [], first: base64(hello), readBytesPerS: 0 },
  {
    name: 'connections, as many as open',
    ...{ connections: 32, headers: [], first: base64(hello), hangsUp: true, openingsPerS: 1e6 },
  },
  {
    name: 'Stats, whose answers are read',
    ...{ connections: 1, headers: [], first: base64(hello) },
    again: base64(...times(BURST, message({ t: MessageType.stats, request: 1 }))),
  },
  {
    name: 'Stats, whose answers nobody reads',
    ...{ connections: 8, headers: [], first: base64(hello), readBytesPerS: 0 },
    again: base64(...times(BURST, message({ t: MessageType.stats, request: 1 }))),
  },
  {
    name: 'pings of the protocol',
    ...{ connections: 1, headers: [], first: base64(hello) },
    again: base64(...times(BURST, message({ t: MessageType.ping }))),
  },
  {
    name: 'pings of WebSocket, 125 bytes',
    ...{ connections: 1, headers: [], first: base64(hello) },
    again: base64(...times(BURST, frame(new Uint8Array(125), 0x89))),
  },
  {
    name: 'messages in fragments of a byte',
    ...{ connections: 1, headers: [], subprotocol: 'pslib.v1', first: base64(hello) },
    again: base64(...times(8, inFragments(encodeFrame({ t: MessageType.ping })))),
  },
  {
    name: 'frames of 1 MiB before Hello',
    ...{ connections: 4, headers: [], first: base64(headOf(MIB)), zeros: MIB, openingsPerS: 400 },
  },
  {
    name: 'msgpack bombs, five a connection',
    connections: 4,
    headers: [],
    first: base64(hello, ...times(5, bomb())),
    openingsPerS: 400,
  },
  {
    name: 'compression, offered and used',
    ...{ connections: 4, headers: ['Sec-WebSocket-Extensions: permessage-deflate'], openingsPerS: 400 },
    first: base64(hello, frame(new Uint8Array(100), 0xc2)),
  },
  {
    name: 'HTTP headers without end',
    ...{ connections: 8, first: base64(Buffer.from('GET / HTTP/1.1\r\n')) },
    again: base64(Buffer.from(`X-${'a'.repeat(100)}: ${'b'.repeat(1000)}\r\n`)),
  },
];
