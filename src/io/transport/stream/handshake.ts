/** The opening handshake of RFC 6455, sections 1.3 and 4, as far as both of our own ends need it. */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** The subprotocol whose frames are read and written by `StreamTransport`. */
export const STREAM_SUBPROTOCOL = 'pslib.v1.stream';

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** A fresh `Sec-WebSocket-Key`. */
export function newKey(): string {
  return randomBytes(16).toString('base64');
}

/** The `Sec-WebSocket-Accept` that answers `key`. */
export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + MAGIC)
    .digest('base64');
}

/** Whether an upgrade request asks for this subprotocol and is a valid one. */
export function asksForStream(method: string | undefined, headers: IncomingHttpHeaders): boolean {
  const offered = headers['sec-websocket-protocol']?.split(',').map((each) => each.trim());
  const key = headers['sec-websocket-key'];
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['sec-websocket-version'] === '13' &&
    key !== undefined &&
    KEY.test(key) &&
    offered?.includes(STREAM_SUBPROTOCOL) === true
  );
}

/** The answer that opens the connection. */
export function switchingProtocols(key: string): string {
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
    `Sec-WebSocket-Protocol: ${STREAM_SUBPROTOCOL}`,
    '\r\n',
  ].join('\r\n');
}
