import { describe, expect, test } from 'vitest';
import { positionIn } from '../../../src/launch/place/fromEnvironment.js';
import { addressIn } from '../../../src/launch/place/nodeAddress.js';
import type { Variables } from '../../../src/launch/place/variables.js';

// What each launcher's variables say, and what is wrong with those that say nothing or two things.

const local = {
  PSLIB_ROLE: 'worker',
  PSLIB_RANK: '2',
  PSLIB_WORLD_SIZE: '4',
  PSLIB_SERVERS: 'ws://127.0.0.1:7001,ws://127.0.0.1:7002',
};

/** One step of 6 tasks on 3 nodes, as Slurm 22.05 sets it. */
const slurm = {
  SLURM_JOB_ID: '12',
  SLURM_STEP_ID: '0',
  SLURM_PROCID: '4',
  SLURM_NTASKS: '6',
  SLURM_JOB_NODELIST: 'n[1-3]',
  SLURM_STEP_NODELIST: 'n[1-3]',
  SLURM_STEP_TASKS_PER_NODE: '3,2,1',
  SLURMD_NODENAME: 'n2',
};

const pod = {
  KUBERNETES_SERVICE_HOST: '10.0.0.1',
  PSLIB_ROLE: 'server',
  PSLIB_SERVICE: 'pslib-server',
  PSLIB_SERVER_COUNT: '2',
  HOSTNAME: 'pslib-server-1',
};

const read = (env: Variables) => positionIn(env, 'host');

function expectRefused(env: Variables, option: string, message: RegExp | string): void {
  let error: unknown;
  try {
    read(env);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'PS_ENVIRONMENT', retryable: false, details: { option } });
  expect((error as Error).message).toMatch(message);
}

describe('pslib launch', () => {
  test('tells everything', () => {
    expect(read(local)).toEqual({
      launcher: 'local',
      role: 'worker',
      rank: 2,
      worldSize: 4,
      workers: 4,
      sites: [{ url: 'ws://127.0.0.1:7001' }, { url: 'ws://127.0.0.1:7002' }],
    });
  });

  test('is believed inside of Slurm and Kubernetes too', () => {
    expect(read({ ...slurm, ...pod, ...local }).launcher).toBe('local');
  });

  test.each([
    ['PSLIB_ROLE', 'master', /must be "server" or "worker", got "master"/],
    ['PSLIB_RANK', '4', /must be an integer from 0 to 3, got "4"/],
    ['PSLIB_RANK', '-1', /must be an integer/],
    ['PSLIB_RANK', '1e0', /must be an integer/],
    ['PSLIB_WORLD_SIZE', '0', /must be an integer from 1/],
    ['PSLIB_SERVERS', 'http://x:1', /must hold ws: or wss: urls, got "http:\/\/x:1"/],
    ['PSLIB_SERVERS', 'ws://x:1, ws://x:1/', /names ws:\/\/x:1\/ twice/],
  ])('%s=%s', (name, value, message) => expectRefused({ ...local, [name]: value }, name, message));

  test.each(Object.keys(local))('without %s', (name) => {
    expectRefused({ ...local, [name]: '' }, name, new RegExp(`^${name} is not set, but PSLIB_.*all four`));
  });

  test('servers that are more or fewer than their urls', () => {
    const server = { ...local, PSLIB_ROLE: 'server' };
    expectRefused(server, 'PSLIB_SERVERS', /names 2 servers, but 4 processes are servers/);
    expect(read({ ...server, PSLIB_RANK: '1', PSLIB_WORLD_SIZE: '2' })).toMatchObject({
      role: 'server',
      rank: 1,
    });
  });
});

test('nothing: the message says how a process is started', () => {
  expectRefused({}, 'PSLIB_ROLE', /pslib launch.*Slurm.*Kubernetes/);
});

describe('Slurm', () => {
  test('one step: the first rank is the server, on the first node', () => {
    expect(read(slurm)).toEqual({
      launcher: 'slurm',
      role: 'worker',
      rank: 3,
      worldSize: 5,
      workers: 5,
      sites: [{ node: 'n1', port: 20_000 + 12 * 16 }],
    });
    expect(read({ ...slurm, SLURM_PROCID: '0', SLURMD_NODENAME: 'n1' })).toMatchObject({
      role: 'server',
      rank: 0,
      worldSize: 1,
    });
  });

  test.each([1, 16, 17, 40, 1024])('the ports of %i servers end before those of the next job', (count) => {
    const portsOf = (job: number): number[] => {
      const tasks = { SLURM_NTASKS: '2000', SLURM_STEP_TASKS_PER_NODE: '2000', SLURM_STEP_NODELIST: 'n1' };
      const env = { ...slurm, ...tasks, SLURM_JOB_ID: String(job), PSLIB_SERVER_COUNT: String(count) };
      return read({ ...env, SLURM_PROCID: '1999' }).sites.map((site) => ('port' in site ? site.port : 0));
    };
    for (const job of [0, 1, 12, 699, 700, 123_456_789]) {
      const [ports, next] = [portsOf(job), portsOf(job + 1)];
      expect(Math.min(...ports, ...next)).toBeGreaterThanOrEqual(20_000);
      expect(Math.max(...ports, ...next)).toBeLessThan(31_200);
      expect(new Set([...ports, ...next]).size).toBe(2 * count);
    }
  });

  test('block and cyclic distribution: where the servers are', () => {
    const four = { ...slurm, PSLIB_SERVER_COUNT: '4', PSLIB_PORT: '7000' };
    const nodes = (env: Variables) => read(env).sites.map((site) => ('node' in site ? site.node : site.url));
    expect(nodes(four)).toEqual(['n1', 'n1', 'n1', 'n2']);
    expect(nodes({ ...four, SLURM_DISTRIBUTION: 'cyclic' })).toEqual(['n1', 'n2', 'n3', 'n1']);
    expect(read(four).sites.map((site) => 'port' in site && site.port)).toEqual([7000, 7001, 7002, 7003]);
    expectRefused({ ...four, SLURM_DISTRIBUTION: 'plane=2' }, 'SLURM_DISTRIBUTION', /use block or cyclic/);
  });

  test('steps of their own: the servers are on the first nodes of the job', () => {
    const step = { ...slurm, PSLIB_ROLE: 'worker', PSLIB_SERVER_COUNT: '2', SLURM_STEP_NODELIST: 'n3' };
    expect(read(step)).toMatchObject({ role: 'worker', rank: 4, worldSize: 6, workers: 6 });
    expect(read(step).sites).toEqual([
      { node: 'n1', port: 20_192 },
      { node: 'n2', port: 20_193 },
    ]);
    const server = {
      ...step,
      PSLIB_ROLE: 'server',
      SLURM_NTASKS: '2',
      SLURM_PROCID: '1',
      SLURMD_NODENAME: 'n2',
    };
    expect(read(server)).toMatchObject({ role: 'server', rank: 1, worldSize: 2, workers: undefined });
    expect(read({ ...server, PSLIB_SERVER_COUNT: '', PSLIB_WORKER_COUNT: '4' })).toMatchObject({
      workers: 4,
    });
  });

  test('steps of their own: on nodes that are named', () => {
    const step = { ...slurm, PSLIB_ROLE: 'worker', PSLIB_SERVER_COUNT: '2', PSLIB_SERVER_NODES: 'n3,n3' };
    expect(read(step).sites).toMatchObject([{ node: 'n3' }, { node: 'n3' }]);
    expectRefused({ ...step, PSLIB_SERVER_NODES: 'n3' }, 'PSLIB_SERVER_NODES', /names 1 nodes for 2 servers/);
  });

  test('urls that are given take the place of those that are found', () => {
    expect(read({ ...slurm, PSLIB_SERVERS: 'wss://front.example' }).sites).toEqual([
      { url: 'wss://front.example' },
    ]);
  });

  test.each([
    ['the batch script itself', { SLURM_STEP_ID: '' }, 'SLURM_STEP_ID', /start the program with srun/],
    [
      'no worker left',
      { PSLIB_SERVER_COUNT: '6' },
      'SLURM_NTASKS',
      /6 tasks leave no worker beside 6 servers/,
    ],
    ['a server elsewhere', { SLURM_PROCID: '0' }, 'SLURMD_NODENAME', /runs on n2, but is looked for on n1/],
    ['a rank beyond the tasks', { SLURM_PROCID: '6' }, 'SLURM_PROCID', /from 0 to 5/],
    [
      'tasks that do not add up',
      { SLURM_STEP_TASKS_PER_NODE: '2(x2)' },
      'SLURM_STEP_TASKS_PER_NODE',
      /4 tasks on 2 nodes, but the step has 6 on 3/,
    ],
    [
      'two counts of servers',
      { PSLIB_SERVERS: 'ws://a:1', PSLIB_SERVER_COUNT: '2' },
      'PSLIB_SERVER_COUNT',
      /is 2, but PSLIB_SERVERS names 1/,
    ],
    [
      'fewer server tasks than servers',
      { PSLIB_ROLE: 'server', PSLIB_SERVER_COUNT: '3' },
      'PSLIB_SERVERS',
      /names 3 servers, but 6 processes are servers/,
    ],
  ])('%s', (_title, change, option, message) => expectRefused({ ...slurm, ...change }, option, message));

  test('the address in the answer of scontrol', () => {
    expect(addressIn('NodeName=n1 Arch=x86_64 CPUTot=4 NodeAddr=10.1.2.3 NodeHostName=n1 Version=22')).toBe(
      '10.1.2.3',
    );
    expect(addressIn('Node n9 not found')).toBeUndefined();
  });
});

describe('Kubernetes', () => {
  test('a server is known by its ordinal', () => {
    expect(read(pod)).toEqual({
      launcher: 'kubernetes',
      role: 'server',
      rank: 1,
      worldSize: 2,
      workers: undefined,
      sites: [
        { url: 'ws://pslib-server-0.pslib-server:7077' },
        { url: 'ws://pslib-server-1.pslib-server:7077' },
      ],
    });
  });

  test('a namespace, a port, and a set with a name of its own', () => {
    const change = { PSLIB_NAMESPACE: 'ml', PSLIB_PORT: '9000', PSLIB_STATEFULSET: 'ps', HOSTNAME: 'ps-0' };
    expect(read({ ...pod, ...change }).sites[1]).toEqual({ url: 'ws://ps-1.pslib-server.ml.svc:9000' });
  });

  test('a worker has the index of its Job, or the ordinal of its pod', () => {
    const worker = { ...pod, PSLIB_ROLE: 'worker', PSLIB_WORLD_SIZE: '8', HOSTNAME: 'train-3-abcde' };
    expect(read({ ...worker, JOB_COMPLETION_INDEX: '5' })).toMatchObject({
      rank: 5,
      worldSize: 8,
      workers: 8,
    });
    expect(read({ ...worker, HOSTNAME: 'train-6' })).toMatchObject({ rank: 6 });
    expectRefused(worker, 'JOB_COMPLETION_INDEX', /indexed Job or a StatefulSet/);
    expectRefused({ ...worker, JOB_COMPLETION_INDEX: '8' }, 'JOB_COMPLETION_INDEX', /from 0 to 7/);
    expectRefused({ ...worker, PSLIB_WORLD_SIZE: '' }, 'PSLIB_WORLD_SIZE', /how many workers/);
  });

  test.each([
    ['no role', { PSLIB_ROLE: '' }, 'PSLIB_ROLE', /in Kubernetes it says/],
    ['no service', { PSLIB_SERVICE: '' }, 'PSLIB_SERVICE', /headless Service/],
    ['a pod of a Deployment', { HOSTNAME: 'pslib-7d9f-x2k4' }, 'HOSTNAME', /must be pslib-server-N/],
    ['another set', { HOSTNAME: 'other-0' }, 'HOSTNAME', /must be pslib-server-N/],
    ['more replicas than servers', { HOSTNAME: 'pslib-server-2' }, 'PSLIB_SERVER_COUNT', /more replicas/],
  ])('%s', (_title, change, option, message) => expectRefused({ ...pod, ...change }, option, message));
});
