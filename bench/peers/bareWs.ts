/**
 * The bytes of a round as bare `ws` messages, two exchanges as it comes out of the box: a word up and the
 * model down, the gradient up and a word down. No header, no codec, nothing applied.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { checkGradient, gradientOf, initialValues, type Part } from '../model.js';
import type { Peer, PeerWorker } from '../peer.js';

/** Bare `ws`. */
export const peer: Peer = {
  name: 'bareWs',
  title: 'bare ws echo',
  applies: false,
  async serve({ parts }) {
    const part = parts[0] as Part;
    const model = initialValues(part);
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 2 ** 30 });
    server.on('connection', (socket) => {
      let last: Buffer | undefined;
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) {
          last = data;
          socket.send('done');
        } else if (data.toString() === 'pull') {
          socket.send(model);
        } else {
          checkGradient(floatsOf(last as Buffer), 0);
          socket.send('right');
        }
      });
    });
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port };
  },
  async connect({ parts, ports }) {
    const socket = new WebSocket(`ws://127.0.0.1:${ports[0]}`, { maxPayload: 2 ** 30 });
    await once(socket, 'open');
    return bareWorker(socket, parts[0] as Part);
  },
};

function bareWorker(socket: WebSocket, part: Part): PeerWorker {
  const gradient = gradientOf(part);
  let pulled: Buffer = Buffer.alloc(0);
  let whenAnswered: (data: Buffer) => void = () => {};
  socket.on('message', (data: Buffer) => whenAnswered(data));
  const exchange = (data: string | Float32Array): Promise<Buffer> => {
    socket.send(data);
    return new Promise((resolve) => {
      whenAnswered = resolve;
    });
  };
  const pull = async (): Promise<void> => {
    pulled = await exchange('pull');
  };
  return {
    pull,
    async round() {
      await pull();
      await exchange(gradient);
    },
    pulled: () => [floatsOf(pulled)],
    async checkPush() {
      await exchange(gradient);
      await exchange('check');
    },
  };
}

/** The floats of a message, which may begin anywhere in its buffer. */
function floatsOf(data: Buffer): Float32Array {
  return new Float32Array(new Uint8Array(data).buffer);
}
