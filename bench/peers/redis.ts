/**
 * Redis as a parameter server, where `redis-server` is installed: the worker GETs the parameters, applies
 * its gradient and SETs them. With more than one worker that loses updates, so there is only one.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gradientOf, initialValues, LEARNING_RATE, type Part } from '../model.js';
import type { Peer, PeerServer, PeerWorker } from '../peer.js';

const KEY = 'model';

/** Redis with a worker that applies. */
export const peer: Peer = {
  name: 'redis',
  title: 'Redis, worker applies',
  applies: true,
  isSlow: true,
  maxWorkers: 1,
  prepare: () =>
    promisify(execFile)('redis-server', ['--version']).then(
      () => undefined,
      () => 'no redis-server',
    ),
  async serve({ parts }) {
    const { child, port } = await startRedis();
    const client = new RedisClient(await reach(port));
    await client.command('SET', KEY, bytesOf(initialValues(parts[0] as Part)));
    return { port, pid: child.pid as number, close: () => child.kill() } satisfies PeerServer;
  },
  async connect({ parts, ports }) {
    return new RedisWorker(new RedisClient(await reach(ports[0] as number)), parts[0] as Part);
  },
};

/** Redis can't be told to take any free port: one that was free a moment ago must do. */
async function startRedis(): Promise<{ child: ChildProcess; port: number }> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', ['--port', `${port}`, ...settings], { stdio: 'ignore' });
  return { child, port };
}

async function reach(port: number): Promise<Socket> {
  for (let attempt = 0; ; attempt++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(20);
    }
  }
}

class RedisWorker implements PeerWorker {
  readonly #client: RedisClient;
  readonly #gradient: Float32Array;
  #parameters = new Float32Array(0);

  constructor(client: RedisClient, part: Part) {
    this.#client = client;
    this.#gradient = gradientOf(part);
  }

  async pull(): Promise<void> {
    const reply = await this.#client.command('GET', KEY);
    this.#parameters = new Float32Array(reply.buffer as ArrayBuffer, reply.byteOffset, reply.length / 4);
  }

  async round(): Promise<void> {
    await this.pull();
    const parameters = this.#parameters;
    for (let i = 0; i < parameters.length; i++) {
      parameters[i] = (parameters[i] as number) - LEARNING_RATE * (this.#gradient[i] as number);
    }
    await this.#client.command('SET', KEY, bytesOf(parameters));
  }

  pulled(): Float32Array[] {
    return [this.#parameters];
  }
}

/** One command at a time over RESP. Knows the replies of GET and SET: `$length` with bytes, and one line. */
class RedisClient {
  readonly #socket: Socket;
  #head = Buffer.alloc(0);
  #body: Buffer | undefined;
  #received = 0;
  #settle: (reply: Buffer) => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
  }

  command(...words: readonly (string | Buffer)[]): Promise<Buffer> {
    const reply = new Promise<Buffer>((resolve) => {
      this.#settle = resolve;
    });
    this.#socket.cork();
    this.#socket.write(`*${words.length}\r\n`);
    for (const word of words) {
      this.#socket.write(`$${word.length}\r\n`);
      this.#socket.write(word);
      this.#socket.write('\r\n');
    }
    this.#socket.uncork();
    return reply;
  }

  #onData(chunk: Buffer): void {
    if (this.#body === undefined) {
      this.#head = Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf('\r\n');
      if (end < 0) return;
      const line = this.#head.toString('latin1', 0, end);
      const rest = this.#head.subarray(end + 2);
      this.#head = Buffer.alloc(0);
      if (line.startsWith('-')) throw new Error(`redis: ${line}`);
      if (!line.startsWith('$')) {
        this.#settle(Buffer.from(line));
        return;
      }
      this.#body = Buffer.from(new ArrayBuffer(Number(line.slice(1)) + 2));
      this.#received = 0;
      this.#onData(rest);
      return;
    }
    this.#received += chunk.copy(this.#body, this.#received);
    if (this.#received < this.#body.length) return;
    const reply = this.#body.subarray(0, -2);
    this.#body = undefined;
    this.#settle(reply);
  }
}

function bytesOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
