/**
 * A TCP proxy on loopback that does to each connection what a seed says: passes bytes in slices down to
 * single ones, resets it after some bytes, or stalls it for good in both directions (half-open).
 */
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import type { Random } from '../../../src/core/base/random.js';

/** What happens to one connection. */
interface Fate {
  /** Largest piece that is passed on at once. */
  readonly slice: number;
  /** After so many bytes it is reset or stalled. */
  readonly until: number;
  readonly stalls: boolean;
}

/** A faulty way to a server. */
export class FaultyProxy {
  readonly #server: Server;
  readonly #random: Random;
  readonly #sockets = new Set<Socket>();
  /** While it is false, connections are passed on unharmed. */
  isFaulty = true;
  resets = 0;
  stalls = 0;

  constructor(targetPort: number, random: Random) {
    this.#random = random;
    this.#server = createServer((near) => this.#join(near, targetPort));
  }

  /** Listens; resolves to its port. */
  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near: Socket, port: number): void {
    const far = new Socket();
    far.connect(port, '127.0.0.1');
    const fate = this.#fate();
    let passed = 0;
    let isOver = false;
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    const pass = (from: Socket, to: Socket): void => {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('error', end);
      from.on('close', () => {
        this.#sockets.delete(from);
        if (!(isOver && fate.stalls)) end();
      });
      from.on('data', (bytes: Buffer) => {
        if (isOver) return;
        for (let at = 0; at < bytes.length; at += fate.slice) to.write(bytes.subarray(at, at + fate.slice));
        passed += bytes.length;
        if (passed < fate.until) return;
        isOver = true;
        if (fate.stalls) {
          this.stalls++;
        } else {
          this.resets++;
          near.resetAndDestroy();
          far.resetAndDestroy();
        }
      });
    };
    pass(near, far);
    pass(far, near);
  }

  #fate(): Fate {
    if (!this.isFaulty) return { slice: 65_536, until: Number.POSITIVE_INFINITY, stalls: false };
    const slice = [1, 3, 100, 65_536][this.#random.nextInt(4)] as number;
    // The handshake takes some hundred bytes: some connections do not get that far.
    const until = 200 + this.#random.nextInt(20_000);
    return { slice, until, stalls: this.#random.nextInt(8) === 0 };
  }
}
