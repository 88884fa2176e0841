/**
 * gRPC in Node: two unary calls, the model as one `bytes` field. The messages are
 * `message Tensor { bytes values = 1; }`, coded here by hand as generated code would.
 */
import { promisify } from 'node:util';
import {
  Client,
  credentials,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { gradientOf, initialValues, LEARNING_RATE, type Part } from '../model.js';
import type { Peer } from '../peer.js';

/** Field 1, length-delimited. */
const TAG = 0x0a;

const method = (name: string): MethodDefinition<Uint8Array, Uint8Array> => ({
  path: `/ParameterServer/${name}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});
const PULL = method('Pull');
const PUSH = method('Push');
const UNBOUNDED = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
const NOTHING = new Uint8Array(0);

/** `@grpc/grpc-js`. */
export const peer: Peer = {
  name: 'grpc',
  title: 'gRPC (@grpc/grpc-js)',
  applies: true,
  isSlow: true,
  async serve({ parts }) {
    const parameters = initialValues(parts[0] as Part);
    const server = new Server(UNBOUNDED);
    const pull: UntypedHandleCall = ((_call: unknown, done: Done) => {
      done(null, new Uint8Array(parameters.buffer));
    }) as UntypedHandleCall;
    const push: UntypedHandleCall = ((call: { request: Uint8Array }, done: Done) => {
      const gradient = floatsOf(call.request);
      for (let i = 0; i < gradient.length; i++) {
        parameters[i] = (parameters[i] as number) - LEARNING_RATE * (gradient[i] as number);
      }
      done(null, NOTHING);
    }) as UntypedHandleCall;
    server.addService({ pull: PULL, push: PUSH }, { pull, push });
    const bind = promisify(server.bindAsync.bind(server));
    return { port: await bind('127.0.0.1:0', ServerCredentials.createInsecure()) };
  },
  async connect({ parts, ports }) {
    const client = new Client(`127.0.0.1:${ports[0]}`, credentials.createInsecure(), UNBOUNDED);
    await promisify(client.waitForReady.bind(client))(Date.now() + 10_000);
    const call = (name: MethodDefinition<Uint8Array, Uint8Array>, request: Uint8Array): Promise<Uint8Array> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(name.path, serialize, deserialize, request, (error, value) => {
          if (error !== null) reject(error);
          else resolve(value ?? NOTHING);
        });
      });
    const gradient = new Uint8Array(gradientOf(parts[0] as Part).buffer);
    let parameters = new Float32Array(0);
    const pull = async (): Promise<void> => {
      parameters = floatsOf(await call(PULL, NOTHING));
    };
    return {
      pull,
      async round() {
        await pull();
        await call(PUSH, gradient);
      },
      pulled: () => [parameters],
    };
  },
};

type Done = (error: null, value: Uint8Array) => void;

function serialize(values: Uint8Array): Buffer {
  const head = [TAG];
  let rest = values.length;
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128);
  head.push(rest);
  return Buffer.concat([Uint8Array.from(head), values]);
}

function deserialize(message: Buffer): Uint8Array {
  let begin = 1;
  while ((message[begin] as number) > 127) begin += 1;
  return message.subarray(begin + 1);
}

/** Views of a message begin anywhere; floats must begin at a multiple of four. */
function floatsOf(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  return new Float32Array(new Uint8Array(bytes).buffer);
}
