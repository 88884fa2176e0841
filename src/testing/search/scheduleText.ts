/** Schedules and consistency models as text, for people: in transcripts, scenarios and on the command line. */
import { invalidArgument } from '../../core/base/errors.js';
import { asp, bsp, type Consistency, ssp } from '../../core/consistency/consistency.js';
import type { Fault } from '../faults/faults.js';
import type { Schedule, WorkerPlan } from './schedule.js';

/** `bsp`, `bsp(1)` (backup workers), `ssp(3)` or `asp`. Throws `PS_INVALID_ARGUMENT` naming `option`. */
export function parseConsistency(option: string, text: string): Consistency {
  const [, name, number] = /^(bsp|ssp|asp)(?:\((\d+)\))?$/.exec(text) ?? [];
  if (name === 'bsp') return bsp({ backupWorkers: Number(number ?? 0) });
  if (name === 'ssp' && number !== undefined) return ssp({ staleness: Number(number) });
  if (name === 'asp' && number === undefined) return asp();
  throw invalidArgument(option, text, 'bsp, bsp(1), ssp(3) or asp');
}

/** The text that `parseConsistency` takes. */
export function consistencyText(model: Consistency): string {
  if (model.name === 'ssp') return `ssp(${model.staleness})`;
  if (model.name === 'bsp' && model.backupWorkers > 0) return `bsp(${model.backupWorkers})`;
  return model.name;
}

/** A schedule in a few lines. */
export function scheduleText(schedule: Schedule): string[] {
  const { seed, clocks, consistency, durability, minWorkers, network, chunkBytes, pinnedVersions } = schedule;
  const model = consistencyText(consistency);
  const switches = schedule.switches.map(({ at, model: to }) => `${consistencyText(to)} at ${at} ms`);
  return [
    `seed ${seed}: ${clocks} clocks, ${[model, ...switches].join(', then ')}, minWorkers ${minWorkers}, ${durability}`,
    `  network: ${network.latencyMs}–${network.latencyMs + network.jitterMs} ms, ${network.bytesPerMs} bytes/ms,` +
      ` chunks of ${chunkBytes} bytes; ${pinnedVersions} versions pinned at most` +
      (durability !== 'memory' && schedule.areRecordsLarge
        ? '; the journal takes pushes for large ones'
        : ''),
    ...dataText(schedule),
    ...schedule.workers.map(workerText),
    ...schedule.faults.map(faultText),
  ];
}

function dataText({ data }: Schedule): string[] {
  if (data === undefined) return [];
  const { size, shardSize, epochs, shuffle, hasItems } = data.dataSet;
  const order = shuffle ? 'shuffled' : 'in order';
  const items = hasItems ? ', sent by the server' : '';
  return [`  data: ${epochs} epochs of ${size} examples in data shards of ${shardSize}, ${order}${items}`];
}

function workerText(plan: WorkerPlan): string {
  const { id, role, joinsAt, untilClock, style, computeMs, pausesBefore, pauseMs, pushes } = plan;
  const joins = joinsAt === 0 ? '' : `, joins at ${joinsAt} ms`;
  if (role === 'dataTrainer') return dataTrainerText(plan);
  if (role !== 'trainer') return `  ${id}: ${role}${joins}`;
  const [least, most] = computeMs;
  const pause = pausesBefore < 0 ? '' : `, pauses for ${pauseMs} ms before clock ${pausesBefore}`;
  return `  ${id}: to clock ${untilClock} in steps of ${least}–${most} ms (${style}, ${pushes} pushes)${joins}${pause}`;
}

function dataTrainerText({ id, joinsAt, untilClock, style, computeMs, batch }: WorkerPlan): string {
  const joins = joinsAt === 0 ? '' : `, joins at ${joinsAt} ms`;
  const until = Number.isFinite(untilClock) ? `, to clock ${untilClock}` : '';
  return `  ${id}: on data shards, up to ${batch} examples in ${computeMs.join('–')} ms (${style})${until}${joins}`;
}

function faultText({ kind, at, worker, ms }: Fault): string {
  const isOfServer = kind.endsWith('Server') || kind.endsWith('Disk') || kind === 'slowNetwork';
  return `  at ${at} ms: ${kind}${isOfServer ? '' : ` ${worker}`}, ${Number.isFinite(ms) ? `${ms} ms` : 'for good'}`;
}
