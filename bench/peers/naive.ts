/**
 * A parameter server as written in an afternoon: `ws`, one msgpack message for the whole model, a loop
 * that applies. What most Node projects in the field do.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { decode, encode } from '@msgpack/msgpack';
import { WebSocket, WebSocketServer } from 'ws';
import { gradientOf, initialValues, LEARNING_RATE, type Part } from '../model.js';
import type { Peer } from '../peer.js';

type Message =
  | { type: 'pull' | 'done' }
  | { type: 'parameters'; values: Uint8Array }
  | { type: 'push'; gradient: Uint8Array };

/** `ws` and msgpack. */
export const peer: Peer = {
  name: 'naive',
  title: 'ws + msgpack, naive',
  applies: true,
  isSlow: true,
  async serve({ parts }) {
    const parameters = initialValues(parts[0] as Part);
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: 2 ** 30 });
    server.on('connection', (socket) => {
      socket.on('message', (data: Buffer) => {
        const message = decode(data) as Message;
        if (message.type === 'pull') {
          socket.send(encode({ type: 'parameters', values: new Uint8Array(parameters.buffer) }));
        } else if (message.type === 'push') {
          const gradient = floatsOf(message.gradient);
          for (let i = 0; i < gradient.length; i++) {
            parameters[i] = (parameters[i] as number) - LEARNING_RATE * (gradient[i] as number);
          }
          socket.send(encode({ type: 'done' }));
        }
      });
    });
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port };
  },
  async connect({ parts, ports }) {
    const socket = new WebSocket(`ws://127.0.0.1:${ports[0]}`, { maxPayload: 2 ** 30 });
    await once(socket, 'open');
    const gradient = gradientOf(parts[0] as Part);
    let parameters = new Float32Array(0);
    const exchange = (message: Message): Promise<Message> => {
      socket.send(encode(message));
      return new Promise((resolve) => {
        socket.once('message', (data: Buffer) => resolve(decode(data) as Message));
      });
    };
    const pull = async (): Promise<void> => {
      const answer = await exchange({ type: 'pull' });
      if (answer.type === 'parameters') parameters = floatsOf(answer.values);
    };
    return {
      pull,
      async round() {
        await pull();
        await exchange({ type: 'push', gradient: new Uint8Array(gradient.buffer) });
      },
      pulled: () => [parameters],
    };
  },
};

/** msgpack gives views that begin anywhere; floats must begin at a multiple of four. */
function floatsOf(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  return new Float32Array(new Uint8Array(bytes).buffer);
}
