/**
 * A client that speaks frames over the `ws` package and nothing of pslib but its codec: it can be as wrong
 * as a test wants. Everything is awaited; what it has opened is closed when the test ends.
 */
import { once } from 'node:events';
import { afterEach } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { codeOfWire } from '../../../src/core/base/errors.js';
import { type DecodedFrame, decodeFrame, encodeFrame } from '../../../src/core/protocol/codec.js';
import { type Message, MessageType, type Pull, type Push } from '../../../src/core/protocol/messages.js';
import type { Welcome } from '../../../src/core/protocol/sessionMessages.js';
import { ParameterServer } from '../../../src/io/server/parameterServer.js';
import type { ParameterServerEvents } from '../../../src/io/server/serverEvents.js';
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Runs `end` when the test is over, last ones first. */
export function atEnd(end: () => unknown): void {
  ends.push(end);
}

/** A server with one tensor `w` of 4 zeros and a rate of 1, which listens on a free port. */
export async function listeningServer(
  options: Partial<ParameterServerOptions> = {},
): Promise<ParameterServer> {
  const server = newServer({ port: 0, ...options });
  await server.listen();
  return server;
}

/** The same, which does not listen. */
export function newServer(options: Partial<ParameterServerOptions>): ParameterServer {
  const server = new ParameterServer({
    parameters: { w: { shape: [4] } },
    optimizer: { name: 'sgd', slots: [], learningRate: 1 },
    ...options,
  });
  atEnd(() => server.close({ timeoutMs: 100 }));
  return server;
}

/** The next event of that name. */
export function eventOf(server: ParameterServer, name: keyof ParameterServerEvents): Promise<unknown> {
  return new Promise((resolve) => server.once(name, resolve as () => void));
}

/** How a connection ended. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** One raw connection. */
export class RawClient {
  readonly socket: WebSocket;
  readonly closed: Promise<Ending>;
  readonly #received: DecodedFrame[] = [];
  readonly #waiting: ((frame: DecodedFrame) => void)[] = [];
  #seq = 0;
  #request = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.on('message', (data) => {
      const frame = decodeFrame(new Uint8Array(data as ArrayBuffer));
      const take = this.#waiting.shift();
      if (take === undefined) this.#received.push(frame);
      else take(frame);
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
    ends.push(() => socket.terminate());
  }

  /** Connects. Rejects with the HTTP status if the upgrade is refused. */
  static async open(url: string, options: ClientOptions & { protocols?: string[] } = {}): Promise<RawClient> {
    const { protocols = ['pslib.v1'], ...rest } = options;
    const socket = new WebSocket(url, protocols, rest);
    const refusal = new Promise<never>((_, reject) => {
      socket.once('unexpected-response', (request, response) => {
        request.destroy();
        reject(new Error(`HTTP ${response.statusCode}`));
      });
    });
    const client = new RawClient(socket);
    await Promise.race([once(socket, 'open'), refusal]);
    return client;
  }

  /** Connects and says hello as `worker`. */
  static async join(url: string, worker: string, options: { readOnly?: boolean } = {}): Promise<RawClient> {
    const client = await RawClient.open(url);
    await client.hello(worker, options);
    return client;
  }

  async hello(worker: string, { readOnly = false } = {}): Promise<Welcome> {
    this.send({ t: MessageType.hello, protocol: 1, worker, session: worker, readOnly });
    return (await this.next()).message as Welcome;
  }

  send(message: Message, payload?: Uint8Array): void {
    this.socket.send(encodeFrame(message, payload));
  }

  /** Pushes `values` as the next of its sequence; resolves with the answer as text. */
  async push(values: readonly number[], details: Partial<Push> = {}): Promise<string> {
    const seq = ++this.#seq;
    const bytes = values.length * 4;
    this.send({ t: MessageType.push, seq, clock: 0, bytes, ...details }, floats(values));
    return textOf((await this.next()).message);
  }

  /** Asks for the parameters, by default outside training; returns the request's number. */
  ask(details: Partial<Pull> = {}): number {
    const request = ++this.#request;
    const pull = { training: false, clock: 0, wait: false, consistent: true };
    this.send({ t: MessageType.pull, request, ...pull, ...details });
    return request;
  }

  /** Pulls; resolves with all values. */
  async pull(details: Partial<Pull> = {}): Promise<number[]> {
    this.ask(details);
    let first = await this.next();
    while (first.message.t === MessageType.waiting) first = await this.next();
    if (first.message.t !== MessageType.pullResult) throw new Error(textOf(first.message));
    const values = floatsIn(first.payload);
    while (values.length * 4 < first.message.bytes) values.push(...floatsIn((await this.next()).payload));
    return values;
  }

  /** The next message. */
  next(): Promise<DecodedFrame> {
    const frame = this.#received.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next message as text. */
  async nextText(): Promise<string> {
    return textOf((await this.next()).message);
  }

  /** Shows that the server still answers on this connection. */
  async ping(): Promise<string> {
    this.send({ t: MessageType.ping });
    return this.nextText();
  }
}

/** A message as a test reads it. */
function textOf(message: Message): string {
  switch (message.t) {
    case MessageType.pong:
      return 'pong';
    case MessageType.pushResult:
      return `${message.outcome} v${message.version}`;
    case MessageType.pullResult:
      return `pulled v${message.version}`;
    case MessageType.fault:
      return codeOfWire(message.code);
    case MessageType.finish:
      return `finish: ${message.reason}`;
    default:
      return `message ${message.t}`;
  }
}

/** Float32 values as bytes. */
export function floats(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

function floatsIn(bytes: Uint8Array): number[] {
  return [...new Float32Array(bytes.slice().buffer)];
}
