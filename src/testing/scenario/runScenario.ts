/**
 * Runs a scenario and writes down what happened. Its model is one number, to which every push adds 1: at
 * the end it is how many pushes count. Messages take 1 ms, so that causes stand before effects.
 */
import { Random } from '../../core/base/random.js';
import { sgd } from '../../core/optim/sgd.js';
import { DEFAULT_SERVER_LIMITS } from '../../core/server/limits.js';
import type { PullAnswer } from '../../core/worker/events.js';
import { DiskStore, MemoryStore } from '../cluster/serverStore.js';
import { SimCluster, type SimClusterOptions } from '../cluster/simCluster.js';
import { SimDisk } from '../disk/simDisk.js';
import { inject } from '../faults/faults.js';
import { IDEAL_NETWORK } from '../network/conditions.js';
import { type ProgramOwner, TrainingProgram } from '../programs/trainingProgram.js';
import { Transcript } from '../transcript/transcript.js';
import { parseScenario, type Scenario, type ScenarioWorker } from './scenario.js';

/** No scenario takes longer. */
const END_MS = 120_000;
/** What happens after everyone is done: connections end. */
const AFTER_MS = 20;

/** The transcript of the scenario that `text` describes, and its end. */
export function runScenario(text: string): string[] {
  const scenario = parseScenario(text);
  const run = new ScenarioRun(scenario);
  return run.run();
}

class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #cluster: SimCluster;
  readonly #unfinished = new Set<string>();
  #transcript: Transcript | undefined;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#cluster = new SimCluster({
      ...clusterOptions(scenario),
      observers: ({ timeline }) => {
        this.#transcript = new Transcript(() => timeline.now, { isShort: true });
        return [this.#transcript];
      },
    });
  }

  run(): string[] {
    const { timeline, server } = this.#cluster;
    const { workers, actions, durability } = this.#scenario;
    // Until the server listens; a disk delays that.
    const startsMs = durability === 'memory' ? 0 : 10;
    server.start();
    for (const worker of workers) {
      this.#unfinished.add(worker.id);
      timeline.at(worker.joinsAt + startsMs, () => this.#start(worker));
    }
    for (const action of actions) timeline.at(action.at, () => this.#act(action));
    const last = Math.max(0, ...actions.map(({ at }) => at));
    const isDone = timeline.run(END_MS, () => this.#unfinished.size === 0 && timeline.now >= last);
    timeline.run(timeline.now + AFTER_MS, () => false);
    return [...(this.#transcript?.lines ?? []), ...this.#end(isDone)];
  }

  #act(action: Scenario['actions'][number]): void {
    if ('model' in action) {
      this.#cluster.server.setConsistency(action.model);
      return;
    }
    const { fault } = action;
    if (fault.kind === 'killWorker' && fault.ms === Number.POSITIVE_INFINITY)
      this.#unfinished.delete(fault.worker);
    inject(this.#cluster, fault, (id) =>
      this.#start(this.#scenario.workers.find((each) => each.id === id) as ScenarioWorker),
    );
  }

  #start(plan: ScenarioWorker): void {
    const worker = this.#cluster.startWorker(plan.id, false);
    const { observer } = this.#cluster;
    const owner: ProgramOwner = {
      style: 'run',
      untilClock: plan.clocks,
      pullTimeoutMs: 10 * this.#scenario.pullTimeoutMs,
      saysGoodbye: !plan.stays,
      pauseMs: (clock) => (clock === plan.pausesBefore ? plan.pauseMs : 0),
      impatienceMs: () => undefined,
      pulls: () => undefined,
      onPullAsked: () => {},
      onPulled({ arrays, version }: PullAnswer) {
        observer.note(
          `${worker.id}#${worker.number}`,
          `computes from ${-(arrays?.[0]?.[0] ?? 0)} (version ${version})`,
        );
        return { computeMs: plan.computeMs, isBlocking: false, announcedMs: undefined };
      },
      pushes: () => 1,
      push: () => ({
        content: { tensors: undefined, values: [Float32Array.of(1)] },
        onEnded({ error }) {
          if (error !== undefined)
            observer.note(`${worker.id}#${worker.number}`, `push failed: ${error.code}`);
        },
      }),
      onEnd: (error) => {
        if (error !== undefined) observer.note(`${worker.id}#${worker.number}`, `ends with ${error.code}`);
        if (this.#cluster.worker(plan.id) === worker) this.#unfinished.delete(plan.id);
      },
    };
    new TrainingProgram(worker, owner).start();
  }

  #end(isDone: boolean): string[] {
    const { state } = this.#cluster.server.core;
    const clocks = [...state.sessions.values()].map(({ id, clock }) => `${id} at ${clock}`).sort();
    const sum = -(state.table.versions.current[0] as number);
    return [
      ...(isDone ? [] : [`not done: ${[...this.#unfinished].join(', ')}`]),
      `end: version ${state.version}, sum of pushes ${sum}, minClock ${state.clocks.minClock}; ${clocks.join(', ')}`,
    ];
  }
}

function clusterOptions(scenario: Scenario): Omit<SimClusterOptions, 'observers'> {
  const { model, durability, minWorkers, leaseMs, graceMs, pullTimeoutMs, maxDelay } = scenario;
  const random = new Random(1).fork('scenario');
  return {
    random,
    network: { ...IDEAL_NETWORK, latencyMs: 1 },
    store: (timeline) => {
      if (durability === 'memory') return new MemoryStore();
      const disk = new SimDisk(timeline, random.fork('disk'), { syncMs: () => 2, callMs: () => 0.01 });
      return new DiskStore(disk, durability, 50);
    },
    server: {
      parameters: { sum: { shape: [] } },
      optimizer: sgd({ learningRate: 1 }),
      consistency: model,
      seed: 0,
      windowBytes: 65_536,
      continueMs: 0.01,
      core: {
        shard: { index: 0, count: 1 },
        minWorkers,
        delay: { scale: 'none', max: maxDelay },
        clip: { value: Number.POSITIVE_INFINITY, norm: Number.POSITIVE_INFINITY },
        nonFinite: 'reject',
        maxPushNorm: Number.POSITIVE_INFINITY,
        limits: {
          ...DEFAULT_SERVER_LIMITS,
          leaseMs,
          pingMs: leaseMs / 3,
          disconnectGraceMs: graceMs,
          pullTimeoutMs,
        },
      },
    },
    workers: {
      reconnect: { retries: Infinity, minDelayMs: 10, maxDelayMs: 100, maxOfflineMs: 600_000 },
      limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 67_108_864 },
      connectTimeoutMs: 30_000,
      windowBytes: 65_536,
    },
  };
}
