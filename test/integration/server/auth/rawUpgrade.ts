/**
 * One upgrade request, byte by byte, and what comes of it: the HTTP status, the close code, or that a Hello was
 * welcomed. It knows nothing of pslib's own ends, so it can ask as wrongly as a test wants.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { decodeFrame, encodeFrame } from '../../../../src/core/protocol/codec.js';
import { MessageType, PROTOCOL_VERSION } from '../../../../src/core/protocol/messages.js';
import type { Hello } from '../../../../src/core/protocol/sessionMessages.js';

/** What the request says. */
export interface RawRequest {
  readonly url: string;
  readonly subprotocols: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly hello?: Partial<Hello>;
  readonly tls?: ConnectionOptions;
}

/** `HTTP 401`, `closed 4403`, `welcome`, `fault 23`, or `cut off`. */
export async function outcomeOf(request: RawRequest): Promise<string> {
  const { hostname, port, pathname, search, protocol } = new URL(request.url);
  const address = { host: hostname, port: Number(port) };
  const socket: Socket =
    protocol === 'wss:'
      ? connectTls({ ...address, servername: 'localhost', ...request.tls })
      : connect(address);
  socket.on('error', () => {});
  try {
    await Promise.race([
      once(socket, protocol === 'wss:' ? 'secureConnect' : 'connect'),
      once(socket, 'close'),
    ]);
    socket.write(
      [
        `GET ${pathname}${search} HTTP/1.1`,
        `Host: ${hostname}:${port}`,
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        `Sec-WebSocket-Protocol: ${request.subprotocols.join(', ')}`,
        ...Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
        '\r\n',
      ].join('\r\n'),
    );
    return await answerOn(socket, request.hello ?? {});
  } finally {
    socket.destroy();
  }
}

async function answerOn(socket: Socket, hello: Partial<Hello>): Promise<string> {
  let bytes: Buffer = Buffer.alloc(0);
  let isOpen = false;
  for await (const part of socket) {
    bytes = Buffer.concat([bytes, part as Buffer]);
    if (!isOpen) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) continue;
      const [, status] = /^HTTP\/1\.1 (\d+)/.exec(bytes.toString('latin1')) ?? [];
      if (status !== '101') return `HTTP ${status}`;
      isOpen = true;
      bytes = bytes.subarray(end + 4);
      socket.write(masked(helloFrame(hello)));
    }
    const frame = frameIn(bytes);
    if (frame === undefined) continue;
    if (frame.opcode === 8) return `closed ${frame.data.readUInt16BE(0)}`;
    const { message } = decodeFrame(new Uint8Array(frame.data));
    return message.t === MessageType.fault ? `fault ${message.code}` : 'welcome';
  }
  return 'cut off';
}

function helloFrame(change: Partial<Hello>): Uint8Array {
  return encodeFrame({
    t: MessageType.hello,
    protocol: PROTOCOL_VERSION,
    worker: 'w',
    session: Math.random().toString(16),
    readOnly: false,
    ...change,
  });
}

/** A binary frame with a zero mask. */
function masked(data: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(data.length);
  return Buffer.concat([Buffer.of(0x82, 0xfe), length, Buffer.alloc(4), data]);
}

function frameIn(bytes: Buffer): { opcode: number; data: Buffer } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] as number) & 127;
  const start = short < 126 ? 2 : 4;
  if (bytes.length < start) return undefined;
  const length = short < 126 ? short : bytes.readUInt16BE(2);
  if (bytes.length < start + length) return undefined;
  return { opcode: (bytes[0] as number) & 15, data: bytes.subarray(start, start + length) };
}
