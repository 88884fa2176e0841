/**
 * A worker written from docs/protocol.md alone: it shares no code with pslib's own, only a WebSocket and
 * a msgpack library, as one in another language would. Strict: what is not as the page says throws.
 */
import { once } from 'node:events';
import { decode, encode } from '@msgpack/msgpack';
import { WebSocket } from 'ws';

/** A message's fields, `t` among them. */
export type Fields = Readonly<Record<string, unknown>>;

/** A message as it came. */
export interface Received extends Record<string, unknown> {
  readonly t: number;
  readonly payload: Buffer;
}

/** One connection of a worker. */
export class ForeignWorker {
  readonly #socket: WebSocket;
  readonly #received: Received[] = [];
  #onNews: () => void = () => {};
  /** The code that the server closed with. */
  closeCode: number | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data, isBinary) => {
      if (!isBinary) throw new Error('the server sent text');
      this.#received.push(frameOf(data as Buffer));
      this.#onNews();
    });
    socket.on('close', (code) => {
      this.closeCode = code;
      this.#onNews();
    });
  }

  /** Opens a connection to `url`. */
  static async open(url: string): Promise<ForeignWorker> {
    const socket = new WebSocket(url, ['pslib.v1']);
    const worker = new ForeignWorker(socket);
    await once(socket, 'open');
    if (socket.protocol !== 'pslib.v1' || socket.extensions !== '') throw new Error('not as the page says');
    return worker;
  }

  send(fields: Fields, payload: Uint8Array = new Uint8Array(0)): void {
    this.#socket.send(bytesOf(fields, payload));
  }

  sendRaw(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  /** The next message; it must be of type `t`. */
  async next(t: number): Promise<Received> {
    const message = await this.#until(() => this.#received.shift());
    if (message.t !== t) throw new Error(`type ${message.t} came, not ${t}: ${JSON.stringify(message)}`);
    return message;
  }

  /** The code that the server closes with, after the messages that it has sent. */
  async closed(): Promise<number> {
    return this.#until(() => this.closeCode);
  }

  /** Ends it without a word, as a crash does. */
  cut(): void {
    this.#socket.terminate();
  }

  /** Says Hello and returns Welcome. */
  async hello(fields: Fields): Promise<Received> {
    this.send({ t: 1, protocol: 1, ...fields });
    return this.next(64);
  }

  /** Pulls, and puts the chunks of the answer together. */
  async pull(fields: Fields): Promise<{ head: Received; values: Float32Array }> {
    this.send({ t: 13, ...fields });
    const head = await this.next(71);
    const bytes = Buffer.alloc(Number(head.bytes));
    let at = head.payload.copy(bytes);
    while (at < bytes.length) {
      const chunk = await this.next(72);
      if (chunk.request !== head.request || chunk.offset !== at) throw new Error('a chunk out of order');
      if (chunk.version !== head.version) throw new Error('two versions in one cut');
      at += chunk.payload.copy(bytes, at);
    }
    const values = Array.from({ length: at / 4 }, (_, i) => bytes.readFloatLE(i * 4));
    return { head, values: Float32Array.from(values) };
  }

  /** Pushes, in parts of at most `chunkBytes`. */
  push(fields: Fields, gradient: readonly number[], chunkBytes: number): void {
    const bytes = Buffer.alloc(gradient.length * 4);
    for (const [i, value] of gradient.entries()) bytes.writeFloatLE(value, i * 4);
    this.send({ t: 15, ...fields, bytes: bytes.length }, bytes.subarray(0, chunkBytes));
    for (let offset = chunkBytes; offset < bytes.length; offset += chunkBytes) {
      this.send({ t: 16, seq: fields.seq, offset }, bytes.subarray(offset, offset + chunkBytes));
    }
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    for (let found = look(); ; found = look()) {
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#onNews = resolve;
      });
    }
  }
}

/** A frame's bytes. */
function bytesOf(fields: Fields, payload: Uint8Array): Buffer {
  const header = encode(fields);
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32LE(header.length, 0);
  lengths.writeUInt32LE(payload.length, 4);
  return Buffer.concat([lengths, header, Buffer.alloc((8 - (header.length % 8)) % 8), payload]);
}

/** The message in a frame. */
function frameOf(frame: Buffer): Received {
  const headerLength = frame.readUInt32LE(0);
  const begin = 8 + headerLength + ((8 - (headerLength % 8)) % 8);
  if (frame.length !== begin + frame.readUInt32LE(4)) throw new Error('a frame of another length');
  const fields = decode(frame.subarray(8, 8 + headerLength)) as Record<string, unknown>;
  return { ...fields, t: Number(fields.t), payload: frame.subarray(begin) };
}
