/**
 * The process of one shard of a `ServerGroup`: a `ParameterServer` that does what the group's process says. It ends
 * with that process, and leaves signals to it: an interrupt from a terminal reaches both.
 */
import { invalidArgument, PsError } from '../core/base/errors.js';
import { modelOf } from '../core/table/model.js';
import { EVENT_NAMES } from '../io/group/groupEvents.js';
import {
  type ErrorImage,
  type FromShard,
  imageOfError,
  PIECE_ELEMENTS,
  type Piece,
  type ShardCalls,
  type ShardStart,
  type ToShard,
} from '../io/group/shardMessages.js';
import type { ParameterServerOptions } from '../io/server/serverOptions.js';
import { ParameterServer } from './parameterServer.js';

type Handlers = {
  readonly [Name in keyof ShardCalls]: (
    id: number,
    ...args: Parameters<ShardCalls[Name]>
  ) => Promise<ReturnType<ShardCalls[Name]>> | ReturnType<ShardCalls[Name]>;
};

let server: ParameterServer | undefined;
let keepsState = false;
/** Values that came for a call that has not. */
const pieces = new Map<number, Piece[]>();

const handlers: Handlers = {
  async start(_id, start) {
    const { index, count } = start;
    const options = {
      ...(await optionsOf(start)),
      shard: { index, count },
    } as unknown as ParameterServerOptions;
    server = new ParameterServer(options);
    keepsState = options.dataDir !== undefined;
    for (const name of EVENT_NAMES) {
      server.on(name, (...args: unknown[]) => send({ kind: 'event', name, args: args.map(plain) }));
    }
    const { entries } = modelOf(options.parameters, 0).whole;
    return entries.map(({ name, shape, dtype, trainable }) => ({ name, shape, dtype, trainable }));
  },
  async listen() {
    await it().listen();
    return { url: it().url, keepsState };
  },
  async parameters(id) {
    const { version, tensors } = await it().parameters();
    let at = 0;
    for (const { data } of Object.values(tensors)) {
      for (let begin = 0; begin < data.length; begin += PIECE_ELEMENTS) {
        const values = data.slice(begin, begin + PIECE_ELEMENTS);
        await sent({ kind: 'piece', id, offset: at + begin, values });
      }
      at += data.length;
    }
    return { version };
  },
  async load(id) {
    const { tensors } = await it().parameters();
    const arrived = pieces.get(id) ?? [];
    pieces.delete(id);
    let at = 0;
    for (const { data } of Object.values(tensors)) {
      for (const { offset, values } of arrived) {
        const [from, to] = [Math.max(at, offset), Math.min(at + data.length, offset + values.length)];
        if (from < to) data.set(values.subarray(from - offset, to - offset), from - at);
      }
      at += data.length;
    }
    await it().load({ tensors });
  },
  loadFrom: (_id, path) => it().load(path),
  checkpoint: (_id, path, at) => it().checkpoint(path, at),
  workers: () => it().workers(),
  stats: () => it().stats(),
  finish: (_id, reason) => it().finish(reason),
  setConsistency: (_id, consistency) => it().setConsistency(consistency),
  setOptimizer: (_id, optimizer) => it().setOptimizer(optimizer as never),
  setLearningRate: (_id, learningRate) => it().setLearningRate(learningRate),
  drain: (_id, options) => it().drain(options),
  async close(_id, options) {
    await server?.close(options);
  },
};

function it(): ParameterServer {
  if (server === undefined) throw new PsError('PS_INTERNAL', 'this shard has not been started');
  return server;
}

async function optionsOf({ options, module, index, count }: ShardStart): Promise<object> {
  if (module === undefined) return options ?? {};
  const { default: given } = (await import(module)) as { default?: unknown };
  const made: unknown = typeof given === 'function' ? await given({ index, count }) : given;
  if (made === null || typeof made !== 'object') {
    throw invalidArgument(
      'options',
      made,
      'a module whose default export is the options, or a function that gives them',
    );
  }
  return { ...made, ...options };
}

/** What crosses: errors in an event are told as plain data. */
function plain(value: unknown): unknown {
  if (value instanceof Error) return { error: imageOfError(value) };
  if (value !== null && typeof value === 'object' && (value as { error?: unknown }).error instanceof Error) {
    return { ...value, error: imageOfError((value as { error: unknown }).error) };
  }
  return value;
}

function send(message: FromShard): void {
  // Without a channel nobody listens any more.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/** Resolves when the channel has taken `message`. */
function sent(message: FromShard): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

async function answer({ id, name, args }: Extract<ToShard, { kind: 'call' }>): Promise<void> {
  const handler = handlers[name] as (id: number, ...args: readonly unknown[]) => unknown;
  try {
    send({ kind: 'value', id, value: await handler(id, ...args) });
  } catch (error) {
    const image: ErrorImage = imageOfError(error);
    send({ kind: 'error', id, error: image });
  }
}

process.on('message', (message: ToShard) => {
  if (message.kind === 'call') void answer(message);
  else pieces.set(message.id, [...(pieces.get(message.id) ?? []), message]);
});
process.on('SIGINT', () => {});
process.on('disconnect', () => {
  void (server?.close() ?? Promise.resolve()).finally(() => process.exit());
});
