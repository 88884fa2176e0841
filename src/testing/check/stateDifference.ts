/** Compares the durable parts of two server states, bit for bit. */
import type { ServerState } from '../../core/server/state.js';

/** What first differs between `a` and `b`, or undefined if nothing does. */
export function differenceOf(a: ServerState, b: ServerState): string | undefined {
  const [one, other] = [partsOf(a), partsOf(b)];
  for (const [name, value] of Object.entries(one)) {
    const [mine, theirs] = [JSON.stringify(value), JSON.stringify(other[name])];
    if (mine !== theirs) return `${name}: ${shortened(mine)} and ${shortened(theirs)}`;
  }
  return undefined;
}

function partsOf(state: ServerState): Record<string, unknown> {
  const { table, clocks, sessions, policy, model, buffers, data } = state;
  const byId = (x: readonly [string, unknown], y: readonly [string, unknown]): number =>
    x[0] < y[0] ? -1 : 1;
  return {
    version: state.version,
    parameters: bitsOf(table.versions.current),
    slots: table.slots.map(bitsOf),
    scalars: table.scalars,
    model,
    policy: policy.save(),
    minClock: clocks.minClock,
    clocks: [...clocks.entries()].sort(byId),
    sessions: [...sessions.values()]
      .map(
        ({ id, key, epoch, clock, decidedSeq, hasEntered, answers }) =>
          [id, { key, epoch, clock, decidedSeq, hasEntered, answers }] as const,
      )
      .sort(byId),
    data: data.save(),
    buffers: [...buffers].map(([clock, buffer]) => [
      clock,
      buffer.contributions.map(({ worker, sum, touched }) => [worker, bitsOf(sum), [...touched].sort()]),
    ]),
  };
}

function bitsOf(values: Float32Array): number[] {
  return [...new Uint32Array(values.buffer, values.byteOffset, values.length)];
}

function shortened(text: string | undefined): string {
  return text === undefined || text.length < 400 ? String(text) : `${text.slice(0, 400)}…`;
}
