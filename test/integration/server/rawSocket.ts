/** A TCP socket that has been upgraded, for a test that sends WebSocket frames as wrong as it likes. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType, PROTOCOL_VERSION } from '../../../src/core/protocol/messages.js';
import { atEnd } from './rawClient.js';

const HEAD_END = '\r\n\r\n';

/** What to ask for. */
export interface RawSocketOptions {
  readonly subprotocol?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An upgraded socket, paused: reading is up to the test. Rejects with the HTTP status if it is refused. */
export async function openRaw(url: string, options: RawSocketOptions = {}): Promise<Socket> {
  const { hostname, port, pathname } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  atEnd(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  const { subprotocol = 'pslib.v1', token, headers = {} } = options;
  socket.write(
    [
      `GET ${pathname} HTTP/1.1`,
      `Host: ${hostname}:${port}`,
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Sec-WebSocket-Protocol: ${subprotocol}`,
      ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      '\r\n',
    ].join('\r\n'),
  );
  const answer = await answerOn(socket);
  const [, status = 'closed'] = /^HTTP\/1\.1 (\d+)/.exec(answer) ?? [];
  if (status === '101') return socket;
  socket.destroy();
  throw new Error(`HTTP ${status}`);
}

/** The head of the answer; what has come behind it is read next. */
async function answerOn(socket: Socket): Promise<string> {
  const ended = once(socket, 'close');
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const [part] = (await Promise.race([once(socket, 'data'), ended])) as [Buffer | boolean];
    socket.pause();
    if (typeof part === 'boolean') return '';
    bytes = Buffer.concat([bytes, part]);
    const end = bytes.indexOf(HEAD_END) + HEAD_END.length;
    if (end < HEAD_END.length) continue;
    if (end < bytes.length) socket.unshift(bytes.subarray(end));
    return bytes.toString('latin1', 0, end);
  }
}

/** One WebSocket frame of a client, with a mask of zeros. `first`: FIN and opcode. */
export function wsFrame(data: Uint8Array, first = 0x82): Buffer {
  const head = Buffer.alloc(14);
  head[0] = first;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt(data.length), 2);
  if (data.length >= 65_536) return Buffer.concat([head, data]);
  if (data.length >= 126) {
    const short = Buffer.alloc(8);
    short[0] = first;
    short[1] = 0xfe;
    short.writeUInt16BE(data.length, 2);
    return Buffer.concat([short, data]);
  }
  return Buffer.concat([Buffer.of(first, 0x80 | data.length, 0, 0, 0, 0), data]);
}

/** Hello as a frame. */
export function helloOf(worker: string, readOnly = false): Buffer {
  const session = `${worker}-${Math.random()}`;
  const protocol = PROTOCOL_VERSION;
  return wsFrame(encodeFrame({ t: MessageType.hello, protocol, worker, session, readOnly }));
}
