/**
 * A way to a server that can be cut as a network is: without a word to either end. What was connected when it was cut
 * stays silent for good, also when it is whole again; what connects meanwhile waits until then.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Cable {
  readonly #server: Server;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #isWhole = true;
  /** Connections that were made while it was cut. */
  #held: Socket[] = [];

  /** To a port of this machine. */
  constructor(port: number) {
    this.#port = port;
    this.#server = createServer((near) => {
      this.#keep(near);
      if (this.#isWhole) this.#join(near);
      else this.#held.push(near);
    });
  }

  /** Resolves to the url of its near end. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  cut(): void {
    this.#isWhole = false;
    for (const socket of this.#sockets) socket.removeAllListeners('data').pause();
  }

  mend(): void {
    this.#isWhole = true;
    for (const near of this.#held.splice(0)) this.#join(near);
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near: Socket): void {
    const far = connect(this.#port, '127.0.0.1');
    this.#keep(far);
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes) => near.write(bytes));
    near.on('close', () => this.#isWhole && far.destroy());
    far.on('close', () => this.#isWhole && near.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
