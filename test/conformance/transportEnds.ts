/** Every way to make a pair of connected transports, and what both ends hear. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import type { PsError } from '../../src/core/base/errors.js';
import { decodeFrame, encodeFrame } from '../../src/core/protocol/codec.js';
import { type Message, MessageType, SUBPROTOCOL } from '../../src/core/protocol/messages.js';
import { UpgradeDesk } from '../../src/io/server/upgrade.js';
import { memoryConnect } from '../../src/io/transport/memoryTransport.js';
import { nodeConnect } from '../../src/io/transport/nodeConnect.js';
import type { Connect, ConnectOptions, StreamHandlers, Transport } from '../../src/io/transport/transport.js';
import { type WebSocketConstructor, webSocketConnect } from '../../src/io/transport/webSocketConnect.js';
import { wsConnect } from '../../src/io/transport/wsConnect.js';
import { WsTransport } from '../../src/io/transport/wsTransport.js';

/** Largest message that either end takes. */
export const MAX_MESSAGE_BYTES = 4_194_304;

/** One end: what it has heard, in order. */
export class End implements StreamHandlers {
  transport: Transport | undefined;
  readonly received: { message: Message; payload: Uint8Array }[] = [];
  readonly heard: string[] = [];
  closed: { code: number; reason: string } | undefined;
  /** Called within the handler of each message. */
  onReceived: () => void = () => {};
  #waiting: { isMet: () => boolean; resolve: () => void }[] = [];

  onOpen(transport: Transport): void {
    this.transport = transport;
    this.#note('open');
  }

  onFrame(frame: Uint8Array): void {
    const { message, payload } = decodeFrame(frame);
    this.onMessage(message, payload);
  }

  onMessage(message: Message, payload: Uint8Array): void {
    this.received.push({ message, payload });
    this.onReceived();
    this.#note('message');
  }

  place(): undefined {
    return undefined;
  }

  onMalformed(error: PsError): void {
    this.#note(`malformed: ${error.message}`);
  }

  onText(): void {
    this.#note('text');
  }

  onClose(code: number, reason: string): void {
    this.closed = { code, reason };
    this.#note('close');
  }

  /** Resolves when `isMet` holds, which may only change with something heard. */
  until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ isMet, resolve }));
  }

  untilReceived(count: number): Promise<void> {
    return this.until(() => this.received.length >= count);
  }

  untilClosed(): Promise<void> {
    return this.until(() => this.closed !== undefined);
  }

  /** Sends chunk number `number`; resolves when it is taken. */
  send(number: number, payload: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.transport?.send(frameOf(number, payload), resolve));
  }

  /** As `send`, from the message and its payload where the transport can. */
  sendMessage(number: number, payload: Uint8Array, mayKeep = true): Promise<void> {
    const { transport } = this;
    if (transport?.sendMessage === undefined) return this.send(number, payload);
    return new Promise((resolve) => transport.sendMessage?.(messageOf(number), payload, mayKeep, resolve));
  }

  #note(what: string): void {
    this.heard.push(what);
    const met = this.#waiting.filter(({ isMet }) => isMet());
    this.#waiting = this.#waiting.filter((each) => !met.includes(each));
    for (const { resolve } of met) resolve();
  }
}

function messageOf(number: number): Message {
  return { t: MessageType.pushChunk, seq: number + 1, offset: number };
}

function frameOf(number: number, payload: Uint8Array): Uint8Array {
  return encodeFrame(messageOf(number), payload);
}

/** Two ends that are connected. */
export interface Pair {
  readonly near: End;
  readonly far: End;
}

/** One kind of transport. */
export interface Kind {
  readonly name: string;
  readonly connect: Connect;
  /** It opens real sockets. */
  readonly isNetwork: boolean;
  /** It can see the HTTP status of a refusal. */
  readonly seesStatus: boolean;
}

const options: ConnectOptions = {
  token: undefined,
  maxMessageBytes: MAX_MESSAGE_BYTES,
  trustedNetwork: false,
};

/** `ws` with real masks, as between hosts. */
const maskedConnect: Connect = (url, { maxMessageBytes }, handlers) => {
  const socket = new WebSocket(url, [SUBPROTOCOL], { perMessageDeflate: false, maxPayload: maxMessageBytes });
  let failure = '';
  const onEarlyClose = () => handlers.onClose(1006, failure);
  socket.on('error', (error) => {
    failure = error.message || 'refused';
  });
  socket.once('close', onEarlyClose);
  socket.once('open', () => {
    socket.off('close', onEarlyClose);
    handlers.onOpen(new WsTransport(socket, handlers));
  });
  return {
    abort() {
      socket.off('close', onEarlyClose);
      socket.terminate();
    },
  };
};

export const KINDS: readonly Kind[] = [
  { name: 'pslib’s own, on the raw socket', connect: nodeConnect, isNetwork: true, seesStatus: true },
  { name: 'ws, zero mask', connect: wsConnect, isNetwork: true, seesStatus: true },
  { name: 'ws, real masks', connect: maskedConnect, isNetwork: true, seesStatus: false },
  {
    name: 'a standard WebSocket',
    connect: webSocketConnect(WebSocket as unknown as WebSocketConstructor),
    isNetwork: true,
    seesStatus: false,
  },
  { name: 'memory', connect: unconnected, isNetwork: false, seesStatus: false },
];

function unconnected(): never {
  throw new Error('a memory transport is connected by the test');
}

/** A server that takes connections; its ends appear in `ends`. */
export class Listener {
  readonly ends: End[] = [];
  /** Headers of the upgrade requests. */
  readonly requests: IncomingMessage['headers'][] = [];
  readonly #server: Server;
  #waiting: (() => void)[] = [];
  /** The HTTP status that requests are refused with; undefined: they are taken. */
  refusal: number | undefined;

  constructor() {
    const desk = new UpgradeDesk({
      path: '/',
      hasPage: false,
      allowedOrigins: new Set(),
      authenticate: undefined,
      isPublic: false,
      maxMessageBytes: MAX_MESSAGE_BYTES,
      maxFragments: 64,
      connections: { maxConnections: 100, maxConnectionsPerAddress: 100 },
      probeAfterMs: 10_000,
      authTimeoutMs: 1000,
      onOpen: (_entrant, open) => void this.take((end) => open(end)),
      onWarning: () => {},
      onError: () => {},
    });
    this.#server = createServer();
    this.#server.on('upgrade', (request, socket, head) => {
      this.requests.push(request.headers);
      if (this.refusal === undefined) desk.handle(request, socket, head);
      else socket.end(`HTTP/1.1 ${this.refusal} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    });
  }

  take(open: (end: End) => Transport): End {
    const end = new End();
    end.onOpen(open(end));
    this.ends.push(end);
    for (const resolve of this.#waiting.splice(0)) resolve();
    return end;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async nextEnd(): Promise<End> {
    if (this.ends.length === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.ends.shift() as End;
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Connects two ends by `kind`. */
export async function connectPair(
  { connect, isNetwork }: Kind,
  listener: Listener,
  url: string,
): Promise<Pair> {
  const near = new End();
  const dial = isNetwork ? connect : memoryConnect((transport) => listener.take(() => transport));
  dial(url, options, near as never);
  await near.until(() => near.transport !== undefined || near.closed !== undefined);
  return { near, far: await listener.nextEnd() };
}

/** Opens a connection that is expected to fail. */
export async function connectNowhere({ connect }: Kind, url: string, token?: string): Promise<End> {
  const near = new End();
  connect(url, { ...options, token }, near as never);
  await near.untilClosed();
  return near;
}
