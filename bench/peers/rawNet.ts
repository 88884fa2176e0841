/**
 * The round over plain TCP in Node: a header byte per message, the server sends live memory and forgets
 * the gradients that it receives. What `node:net` costs before there is any protocol.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { checkGradient, gradientOf, initialValues, type Part } from '../model.js';
import type { Peer, PeerServer, PeerWorker, ServePlan } from '../peer.js';

const PULL = 1;
const PUSH = 2;
const CHECKED_PUSH = 3;
const DONE = Buffer.from([1]);

/** Raw TCP in Node. */
export const peer: Peer = {
  name: 'rawNet',
  title: 'raw TCP in Node (node:net)',
  applies: false,
  serve,
  async connect({ parts, ports }) {
    const socket = connect({ port: ports[0] as number, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawWorker(socket, parts[0] as Part);
  },
};

async function serve({ parts }: ServePlan): Promise<PeerServer> {
  const part = parts[0] as Part;
  const model = bytesOf(initialValues(part));
  const server = createServer({ noDelay: true }, (socket) => {
    let missing = 0;
    // Only a checked gradient is kept.
    let kept: Buffer | undefined;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      let at = 0;
      while (at < chunk.length) {
        if (missing === 0) {
          const header = chunk[at++];
          if (header === PULL) socket.write(model);
          else missing = model.length;
          kept = header === CHECKED_PUSH ? Buffer.alloc(model.length) : undefined;
          continue;
        }
        const count = Math.min(missing, chunk.length - at);
        if (kept !== undefined) chunk.copy(kept, model.length - missing, at, at + count);
        missing -= count;
        at += count;
        if (missing > 0) continue;
        if (kept !== undefined) checkGradient(new Float32Array(kept.buffer, kept.byteOffset, part.length), 0);
        socket.write(DONE);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}

class RawWorker implements PeerWorker {
  readonly #socket: Socket;
  readonly #values: Float32Array;
  readonly #target: Buffer;
  readonly #gradient: Buffer;
  #missing = 0;
  #whenReceived: () => void = () => {};

  constructor(socket: Socket, part: Part) {
    this.#socket = socket;
    this.#values = new Float32Array(part.length).fill(Number.NaN);
    this.#target = bytesOf(this.#values);
    this.#gradient = bytesOf(gradientOf(part));
    let isAcknowledgement = false;
    socket.on('data', (chunk) => {
      isAcknowledgement = this.#missing === DONE.length && chunk.length === DONE.length;
      if (!isAcknowledgement) chunk.copy(this.#target, this.#target.length - this.#missing);
      this.#missing -= chunk.length;
      if (this.#missing === 0) this.#whenReceived();
    });
  }

  async pull(): Promise<void> {
    this.#socket.write(Buffer.from([PULL]));
    await this.#receive(this.#target.length);
  }

  async round(): Promise<void> {
    await this.pull();
    await this.#push(PUSH);
  }

  checkPush(): Promise<void> {
    return this.#push(CHECKED_PUSH);
  }

  pulled(): Float32Array[] {
    return [this.#values];
  }

  async #push(header: number): Promise<void> {
    this.#socket.cork();
    this.#socket.write(Buffer.from([header]));
    this.#socket.write(this.#gradient);
    this.#socket.uncork();
    await this.#receive(DONE.length);
  }

  #receive(bytes: number): Promise<void> {
    this.#missing = bytes;
    return new Promise((resolve) => {
      this.#whenReceived = resolve;
    });
  }
}

function bytesOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
