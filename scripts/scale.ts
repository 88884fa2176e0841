/**
 * `npm run scale`: how a group behaves with more servers and workers than one has at hand. A simulation of queues: each
 * server and each worker is one core that handles its messages one after the other; what a message costs was measured
 * (`docs/scale.md` says how). Clock tables, consistency models and time are those of the library and its simulator; the
 * messages themselves are not made.
 *
 *     npm run scale                                     the tables of docs/scale.md; a minute
 *     npm run scale -- --servers 64 --workers 2000      one case
 */
import { parseArgs } from 'node:util';
import { Random } from '../src/core/base/random.js';
import { ClockTable } from '../src/core/consistency/clockTable.js';
import { SspPolicy } from '../src/core/consistency/ssp.js';
import { Timeline } from '../src/testing/network/timeline.js';

/** Measured costs, in milliseconds of one core. */
interface Costs {
  /** Of each message, at the server and at the worker. */
  readonly messageMs: number;
  /** Of each MB that a server sends for a pull, or takes and applies for a push. */
  readonly pullMsPerMb: number;
  readonly pushMsPerMb: number;
  /** Of each MB at a worker, either way. */
  readonly workerMsPerMb: number;
  /** One way. */
  readonly latencyMs: number;
}

interface Case {
  readonly servers: number;
  readonly workers: number;
  readonly modelMb: number;
  /** Mean time of a gradient; log-normal around it, with a standard deviation of a fifth. */
  readonly computeMs: number;
  readonly staleness: number;
  readonly steps: number;
}

interface Found {
  readonly stepsPerS: number;
  /** Share of a worker's time in which it waits for pulls and pushes. */
  readonly waiting: number;
  readonly serverLoad: number;
  readonly workerLoad: number;
  /** Mean and largest lead at an answered pull, in clocks. */
  readonly meanLead: number;
  readonly maxLead: number;
}

/** A core: what is asked of it is done in order. */
class Core {
  busyMs = 0;
  #freeAt = 0;

  /** When work of `costMs` that comes at `now` is done. */
  done(now: number, costMs: number): number {
    this.#freeAt = Math.max(now, this.#freeAt) + costMs;
    this.busyMs += costMs;
    return this.#freeAt;
  }
}

interface Waiting {
  readonly clock: number;
  readonly answer: () => void;
}

/** One shard: a core, a clock table, and the pulls that wait. */
class Server extends Core {
  readonly table: ClockTable = new ClockTable();
  waiting: Waiting[] = [];

  /** Answers the pulls that the policy allows now. */
  look(policy: SspPolicy): void {
    if (this.waiting.length === 0) return;
    const may = this.waiting.filter(({ clock }) => policy.mayPull(clock, this.table));
    if (may.length === 0) return;
    this.waiting = this.waiting.filter(({ clock }) => !policy.mayPull(clock, this.table));
    for (const { answer } of may) answer();
  }
}

function simulate(costs: Costs, given: Case, seed: number): Found {
  const { servers: n, workers, modelMb, computeMs, staleness, steps } = given;
  const timeline = new Timeline();
  const random = new Random(seed);
  const policy = new SspPolicy(staleness);
  const servers = Array.from({ length: n }, () => new Server());
  const cores = Array.from({ length: workers }, () => new Core());
  const partMb = modelMb / n;
  const { messageMs, latencyMs } = costs;
  const pullMs = messageMs + partMb * costs.pullMsPerMb;
  const pushMs = messageMs + partMb * costs.pushMsPerMb;
  const atWorkerMs = messageMs + partMb * costs.workerMsPerMb;
  let [waitMs, totalMs, leads, maxLead, answered, running, endedAt] = [0, 0, 0, 0, 0, workers, 0];

  const work = (w: number): void => {
    const core = cores[w] as Core;
    const id = `w${w}`;
    let clock = 0;
    let begin = timeline.now;
    const start = timeline.now;

    /** Sends a message to every shard; `handle` runs when a shard has handled it, and ends by calling its callback. */
    const exchange = (
      up: number,
      costMs: number,
      handle: (server: Server, reply: () => void) => void,
      then: () => void,
    ): void => {
      let open = n;
      for (const server of servers) {
        timeline.at(core.done(timeline.now, up) + latencyMs, () => {
          timeline.at(server.done(timeline.now, costMs), () =>
            handle(server, () => {
              timeline.after(latencyMs, () => {
                open--;
                if (open === 0) then();
              });
            }),
          );
        });
      }
    };
    const push = (): void => {
      begin = timeline.now;
      exchange(
        atWorkerMs,
        pushMs,
        (server, reply) => {
          server.table.advance(id, clock + 1);
          server.look(policy);
          reply();
        },
        () => {
          clock++;
          waitMs += timeline.now - begin;
          if (clock < steps) pull();
          else end();
        },
      );
    };
    const end = (): void => {
      for (const server of servers) {
        server.table.leave(id);
        server.look(policy);
      }
      totalMs += timeline.now - start;
      running--;
      endedAt = timeline.now;
    };
    const pull = (): void => {
      begin = timeline.now;
      exchange(
        messageMs,
        messageMs,
        (server, reply) => {
          const answer = (): void => {
            const lead = clock - server.table.minClock;
            leads += lead;
            maxLead = Math.max(maxLead, lead);
            answered++;
            timeline.at(server.done(timeline.now, pullMs - messageMs), reply);
          };
          if (policy.mayPull(clock, server.table)) answer();
          else server.waiting.push({ clock, answer });
        },
        () => {
          // What came is taken in, then the gradient is computed.
          const pulled = core.done(timeline.now, n * atWorkerMs);
          timeline.at(pulled, () => {
            waitMs += timeline.now - begin;
            const deviation = 0.2;
            const factor = Math.exp(deviation * random.nextNormal() - (deviation * deviation) / 2);
            timeline.at(core.done(timeline.now, computeMs * factor), push);
          });
        },
      );
    };
    pull();
  };

  for (let w = 0; w < workers; w++) for (const server of servers) server.table.enter(`w${w}`, 0);
  for (let w = 0; w < workers; w++) timeline.at(random.nextFloat() * computeMs, () => work(w));
  timeline.run(Number.POSITIVE_INFINITY, () => running === 0);
  const busy = (each: readonly Core[]): number =>
    each.reduce((sum, { busyMs }) => sum + busyMs, 0) / each.length;
  return {
    stepsPerS: (workers * steps * 1e3) / endedAt,
    waiting: waitMs / totalMs,
    serverLoad: busy(servers) / endedAt,
    workerLoad: busy(cores) / endedAt,
    meanLead: leads / answered,
    maxLead,
  };
}

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '1,4,16,64' },
    workers: { type: 'string', default: '10,100,500,2000' },
    mb: { type: 'string', default: '4,100' },
    'compute-ms': { type: 'string', default: '1000' },
    staleness: { type: 'string', default: '3' },
    steps: { type: 'string', default: '6' },
    'message-us': { type: 'string', default: '30' },
    'pull-us-per-mb': { type: 'string', default: '270' },
    'push-us-per-mb': { type: 'string', default: '890' },
    'worker-us-per-mb': { type: 'string', default: '410' },
    'latency-ms': { type: 'string', default: '0.2' },
    seed: { type: 'string', default: '1' },
  },
});
const numbers = (text: string): number[] => text.split(',').map(Number);
const costs: Costs = {
  messageMs: Number(values['message-us']) / 1e3,
  pullMsPerMb: Number(values['pull-us-per-mb']) / 1e3,
  pushMsPerMb: Number(values['push-us-per-mb']) / 1e3,
  workerMsPerMb: Number(values['worker-us-per-mb']) / 1e3,
  latencyMs: Number(values['latency-ms']),
};
const computeMs = Number(values['compute-ms']);

for (const modelMb of numbers(values.mb)) {
  console.log(`${modelMb} MB, gradients of ${computeMs} ms, ssp(${values.staleness})`);
  console.log(
    '| servers | workers | steps/s | of ideal | waiting | server load | worker load | lead, mean | max |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|');
  for (const servers of numbers(values.servers)) {
    for (const workers of numbers(values.workers)) {
      const given = {
        servers,
        workers,
        modelMb,
        computeMs,
        staleness: Number(values.staleness),
        steps: Number(values.steps),
      };
      const found = simulate(costs, given, Number(values.seed));
      const percent = (share: number): string => `${Math.round(100 * share)} %`;
      const ideal = (workers * 1e3) / computeMs;
      const cells = [
        ...[
          servers,
          workers.toLocaleString('en'),
          found.stepsPerS.toPrecision(3),
          percent(found.stepsPerS / ideal),
        ],
        ...[percent(found.waiting), percent(found.serverLoad), percent(found.workerLoad)],
        ...[found.meanLead.toFixed(2), found.maxLead],
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
  console.log('');
}
