import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Exit,
  Supervisor,
  type SupervisorEffect,
  type SupervisorPolicy,
} from '../../../src/launch/local/supervisor.js';

const policy: SupervisorPolicy = {
  retries: 2,
  minDelayMs: 100,
  maxDelayMs: 150,
  healthyMs: 10_000,
  stopTimeoutMs: 1_000,
};
const done: Exit = { code: 0, signal: null };
const failed = (code: number): Exit => ({ code, signal: null });
const killed = (signal: NodeJS.Signals): Exit => ({ code: null, signal });

/** A job of some servers and workers, driven by hand; tells its effects as short texts. */
class Job {
  readonly supervisor: Supervisor;
  now = 0;

  constructor(servers: number, workers: number) {
    const named = (role: 'server' | 'worker', count: number) =>
      Array.from({ length: count }, (_, i) => ({ name: `${role}-${i}`, role }));
    this.supervisor = new Supervisor([...named('server', servers), ...named('worker', workers)], policy);
  }

  start(): string[] {
    return this.#told(this.supervisor.step({ kind: 'start', now: this.now }));
  }

  exit(name: string, exit: Exit): string[] {
    return this.#told(this.supervisor.step({ kind: 'exited', name, exit, now: this.now }));
  }

  stop(signal: NodeJS.Signals): string[] {
    return this.#told(this.supervisor.step({ kind: 'stop', signal, now: this.now }));
  }

  /** Time passes until the next tick has something to do. */
  tick(): string[] {
    this.now = this.supervisor.nextTickAt() ?? this.now;
    return this.#told(this.supervisor.step({ kind: 'tick', now: this.now }));
  }

  #told(effects: readonly SupervisorEffect[]): string[] {
    return effects.flatMap((effect) => {
      if (effect.kind === 'spawn') return `spawn ${effect.name}`;
      if (effect.kind === 'signal') return `${effect.signal} ${effect.name}`;
      if (effect.kind === 'finished') return `finished ${effect.exitCode}`;
      if (effect.kind === 'stopping') return 'stopping';
      return effect.restartInMs === undefined ? [] : `restart in ${effect.restartInMs}`;
    });
  }
}

describe('a job', () => {
  test('whose workers end well stops its server, and ends well', () => {
    const job = new Job(1, 2);
    expect(job.start()).toEqual(['spawn server-0', 'spawn worker-0', 'spawn worker-1']);
    expect(job.exit('worker-1', done)).toEqual([]);
    expect(job.exit('worker-0', done)).toEqual(['SIGTERM server-0']);
    expect(job.exit('server-0', killed('SIGTERM'))).toEqual(['finished 0']);
  });

  test('restarts what dies, later each time, and gives up', () => {
    const job = new Job(1, 1);
    job.start();
    expect(job.exit('worker-0', failed(3))).toEqual(['restart in 100']);
    expect(job.tick()).toEqual(['spawn worker-0']);
    expect(job.now).toBe(100);
    expect(job.exit('worker-0', killed('SIGKILL'))).toEqual(['restart in 150']);
    expect(job.tick()).toEqual(['spawn worker-0']);
    expect(job.exit('worker-0', failed(7))).toEqual(['SIGTERM server-0']);
    expect(job.exit('server-0', done)).toEqual(['finished 7']);
  });

  test('restarts a server that nobody told to stop and that ends well while there are workers, within bounds', () => {
    const job = new Job(1, 2);
    job.start();
    expect(job.exit('server-0', done)).toEqual(['restart in 100']);
    expect(job.tick()).toEqual(['spawn server-0']);
    job.exit('worker-0', done);
    expect(job.exit('server-0', done)).toEqual(['restart in 150']);
    expect(job.tick()).toEqual(['spawn server-0']);
    // It means it: what the worker still does without a server is its own affair.
    expect(job.exit('server-0', done)).toEqual([]);
    expect(job.exit('worker-1', done)).toEqual(['finished 0']);
  });

  test('is over when its workers are, also if a server has just ended by itself', () => {
    const job = new Job(1, 1);
    job.start();
    expect(job.exit('server-0', done)).toEqual(['restart in 100']);
    expect(job.exit('worker-0', done)).toEqual(['finished 0']);
  });

  test('of servers alone ends when they have', () => {
    const job = new Job(1, 0);
    job.start();
    expect(job.exit('server-0', done)).toEqual(['finished 0']);
  });

  test('counts failures anew when a process has run for long', () => {
    const job = new Job(0, 1);
    job.start();
    for (let i = 0; i < 20; i++) {
      job.now += policy.healthyMs;
      expect(job.exit('worker-0', failed(1))).toEqual(['restart in 100']);
      expect(job.tick()).toEqual(['spawn worker-0']);
    }
  });

  test('goes on without a worker that is given up, and tells of it at the end', () => {
    const job = new Job(1, 2);
    job.start();
    job.exit('worker-0', { code: null, signal: null, failure: 'not found' });
    expect(job.exit('worker-1', done)).toEqual(['SIGTERM server-0']);
    expect(job.exit('server-0', done)).toEqual(['finished 127']);
  });

  test('ends when a server is given up', () => {
    const job = new Job(2, 1);
    job.start();
    for (let i = 0; i < policy.retries; i++) {
      job.exit('server-1', failed(1));
      job.tick();
    }
    expect(job.exit('server-1', failed(1))).toEqual(['stopping', 'SIGTERM worker-0']);
    expect(job.exit('worker-0', killed('SIGTERM'))).toEqual(['SIGTERM server-0']);
    expect(job.exit('server-0', done)).toEqual(['finished 1']);
  });

  test('that is interrupted stops workers first, then servers, and ends with 128 + the signal', () => {
    const job = new Job(1, 2);
    job.start();
    job.exit('worker-1', failed(1));
    expect(job.stop('SIGINT')).toEqual(['stopping', 'SIGINT worker-0']);
    expect(job.exit('worker-0', killed('SIGINT'))).toEqual(['SIGTERM server-0']);
    expect(job.exit('server-0', done)).toEqual(['finished 130']);
  });

  test('kills who does not end in time, and at once when asked twice', () => {
    const job = new Job(1, 1);
    job.start();
    job.stop('SIGTERM');
    expect(job.tick()).toEqual(['SIGKILL worker-0']);
    expect(job.now).toBe(policy.stopTimeoutMs);
    expect(job.exit('worker-0', killed('SIGKILL'))).toEqual(['SIGTERM server-0']);
    expect(job.stop('SIGTERM')).toEqual(['SIGKILL server-0']);
    expect(job.exit('server-0', killed('SIGKILL'))).toEqual(['finished 143']);
  });

  test('that is stopped before it has begun starts nothing', () => {
    const job = new Job(1, 1);
    job.stop('SIGTERM');
    expect(job.start()).toEqual(['finished 143']);
  });

  test('of servers alone runs until it is stopped', () => {
    const job = new Job(1, 0);
    expect(job.start()).toEqual(['spawn server-0']);
    expect(job.stop('SIGTERM')).toEqual(['stopping', 'SIGTERM server-0']);
    expect(job.exit('server-0', done)).toEqual(['finished 143']);
  });
});

test('whatever happens, a process runs once at a time and no oftener than allowed, and the job ends once', () => {
  const exit = fc.constantFrom(done, failed(1), failed(9), killed('SIGKILL'), killed('SIGTERM'));
  const act = fc.record({
    pick: fc.nat(),
    exit,
    what: fc.constantFrom('exit', 'exit', 'exit', 'tick', 'stop'),
  });
  const size = fc.integer({ min: 0, max: 3 });
  fc.assert(
    fc.property(size, size, fc.array(act, { maxLength: 60 }), (servers, workers, acts) => {
      fc.pre(servers + workers > 0);
      const job = new Job(servers, workers);
      const running = new Set<string>();
      const starts = new Map<string, number>();
      let finished = 0;
      let isStopped = false;
      const see = (effects: readonly string[]): void => {
        for (const effect of effects) {
          const [what = '', name = ''] = effect.split(' ');
          if (what === 'finished') finished += 1;
          if (what === 'spawn') {
            expect(running.has(name)).toBe(false);
            expect(isStopped).toBe(false);
            running.add(name);
            starts.set(name, (starts.get(name) ?? 0) + 1);
          }
          if (what.startsWith('SIG')) expect(running.has(name)).toBe(true);
        }
      };
      const end = (pick: number, how: Exit): void => {
        const name = [...running][pick % running.size];
        if (name === undefined) return;
        running.delete(name);
        see(job.exit(name, how));
      };
      see(job.start());
      for (const { what, pick, exit: how } of acts) {
        if (what === 'exit') end(pick, how);
        if (what === 'tick') see(job.tick());
        if (what === 'stop') {
          isStopped = true;
          see(job.stop('SIGTERM'));
        }
      }
      isStopped = true;
      see(job.stop('SIGTERM'));
      while (running.size > 0) end(0, killed('SIGTERM'));
      expect(finished).toBe(1);
      for (const count of starts.values()) expect(count).toBeLessThanOrEqual(1 + policy.retries);
    }),
  );
});
