/**
 * Answers what workers and tools ask of the server itself: its counts (Stats), and actions (Control). Who may
 * ask is decided in the core; an argument is checked here by the same rules as the owner's own calls.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import { checkOptionObject } from '../../core/base/optionObject.js';
import { type Consistency, checkConsistency } from '../../core/consistency/consistency.js';
import type { BuiltInOptimizer } from '../../core/optim/optimizer.js';
import { optimizerFromSpec } from '../../core/optim/updateRule.js';
import type { Control } from '../../core/protocol/askMessages.js';
import { faultOf } from '../../core/protocol/faults.js';
import { MessageType, type ServerMessage } from '../../core/protocol/messages.js';
import type { ServerEffect } from '../../core/server/events.js';
import type { ServerReport, ServerStats, WorkerInfo } from '../serverReport.js';
import type { CheckpointReport } from '../storage/checkpointTurns.js';
import { CheckpointSets } from './checkpointSets.js';
import type { Commands } from './commands.js';
import type { CoreRunner } from './coreRunner.js';
import type { CheckpointMoment } from './persistence.js';
import type { CheckedServerOptions } from './serverOptions.js';

/** Workers that an answer to Stats names. */
const MAX_WORKERS = 1000;

/** What the desk needs of a server: the methods of `ParameterServer`. */
export interface AskedServer {
  stats(): ServerStats;
  workers(): WorkerInfo[];
  checkpoint(path: string | undefined, at?: CheckpointMoment): Promise<CheckpointReport>;
  setConsistency(consistency: Consistency): Promise<void>;
  setOptimizer(optimizer: BuiltInOptimizer): Promise<void>;
  setLearningRate(learningRate: number): Promise<void>;
  finish(reason?: string): void;
  evict(id: string, reason?: string): Promise<boolean>;
}

type Argument = Readonly<Record<string, unknown>>;
type Action = (server: AskedServer, argument: Argument, sets: CheckpointSets) => Promise<object>;

/** Every action, with the keys of its argument. */
const ACTIONS: ReadonlyMap<string, readonly [keys: readonly string[], action: Action]> = new Map<
  string,
  readonly [readonly string[], Action]
>([
  [
    'setLearningRate',
    [
      ['learningRate'],
      async (server, { learningRate }) => {
        if (typeof learningRate !== 'number') throw invalidArgument('learningRate', learningRate, 'a number');
        await server.setLearningRate(learningRate);
        return {};
      },
    ],
  ],
  [
    'setOptimizer',
    [
      ['optimizer'],
      async (server, { optimizer }) => {
        await server.setOptimizer(optimizerFromSpec(optimizer));
        return {};
      },
    ],
  ],
  [
    'setConsistency',
    [
      ['consistency'],
      async (server, { consistency }) => {
        await server.setConsistency(checkConsistency('consistency', consistency));
        return {};
      },
    ],
  ],
  ['checkpoint', [['set', 'name', 'clock', 'timeoutMs'], (_server, argument, sets) => sets.take(argument)]],
  ['manifest', [['set', 'clock', 'shards'], (_server, argument, sets) => sets.complete(argument)]],
  [
    'finish',
    [
      ['reason'],
      async (server, { reason }) => {
        server.finish(text('reason', reason));
        return {};
      },
    ],
  ],
  [
    'evict',
    [
      ['id', 'reason'],
      async (server, { id, reason }) => {
        if (typeof id !== 'string') throw invalidArgument('id', id, "a worker's id");
        return { evicted: await server.evict(id, text('reason', reason)) };
      },
    ],
  ],
]);

/** What an answer to Stats says beside the counts. */
type More = (connection: number, afterMs: number | undefined) => Pick<ServerReport, 'role' | 'record'>;

/** Has the questions that come to `runner` answered: by `server`, which was made with `options`, and by `more`. */
export function answerAsks(
  server: AskedServer,
  { sets: directory, core: { shard } }: Pick<CheckedServerOptions, 'sets' | 'core'>,
  runner: CoreRunner,
  commands: Commands,
  more: More,
): void {
  const checkpoint: AskedServer['checkpoint'] = (path, at) => server.checkpoint(path, at);
  const sets = new CheckpointSets({ directory, shard, checkpoint });
  runner.onAsk = (effect) => {
    const { connection } = effect;
    void answer([server, sets], effect, more, (message, payload = new Uint8Array(0)) =>
      commands.command(({ emit }) => emit({ kind: 'send', connection, message, payload })),
    );
  };
}

/** Answers one `ask` effect by `send`, now or later. Never throws. */
async function answer(
  [server, sets]: readonly [AskedServer, CheckpointSets],
  { connection, message, payload }: Extract<ServerEffect, { kind: 'ask' }>,
  more: More,
  send: (message: ServerMessage, payload?: Uint8Array) => void,
): Promise<void> {
  const { request } = message;
  try {
    if (message.t === MessageType.stats) {
      const stats = server.stats();
      const workers = server.workers().slice(0, MAX_WORKERS);
      const report: ServerReport = { stats, workers, ...more(connection, message.after) };
      send({ t: MessageType.statsResult, request }, bytesOf(report));
    } else {
      const result = await carryOut([server, sets], message, payload);
      send({ t: MessageType.controlResult, request }, bytesOf(result));
    }
  } catch (cause) {
    const error =
      cause instanceof PsError ? cause : new PsError('PS_INTERNAL', 'the action failed', { cause });
    send({ ...faultOf(error), request });
  }
}

async function carryOut(
  [server, sets]: readonly [AskedServer, CheckpointSets],
  { action }: Control,
  payload: Uint8Array,
): Promise<object> {
  const found = ACTIONS.get(action);
  if (found === undefined)
    throw invalidArgument('action', action, `one of ${[...ACTIONS.keys()].join(', ')}`);
  const [keys, run] = found;
  return run(server, checkOptionObject('argument', argumentOf(payload), keys), sets);
}

function argumentOf(payload: Uint8Array): Argument {
  if (payload.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    throw invalidArgument('argument', `${payload.length} bytes`, 'JSON in UTF-8');
  }
  return plainObject('argument', value);
}

function plainObject(option: string, value: unknown): Argument {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Argument;
  throw invalidArgument(option, value, 'an object');
}

function text(option: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw invalidArgument(option, value, 'a string');
}

function bytesOf(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
