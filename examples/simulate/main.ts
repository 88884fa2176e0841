/**
 * Which staleness suits 64 workers of which 3 are slow? Asked before they are rented: a linear regression is
 * trained in virtual time, with the server, the workers and the protocol of production, under each
 * consistency model, on two clusters.
 *
 *     node examples/simulate/main.js [--seconds 30]
 */
import { parseArgs } from 'node:util';
import { asp, bsp, type Consistency, sgd, ssp } from 'pslib';
import { logNormal, type SimulatedWorkers, simulate, withStalls } from 'pslib/testing';
import { parameters, regression } from './regression.js';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '30' } } });
const forMs = 1_000 * Number(values.seconds);
const WORKERS = 64;
const usual = logNormal({ medianMs: 200, spread: 1.2 });

/** Three old machines: always four times as slow. */
const alwaysSlow: SimulatedWorkers[] = [
  { name: 'new', count: WORKERS - 3, computeMs: usual },
  { name: 'old', count: 3, computeMs: logNormal({ medianMs: 800, spread: 1.2 }) },
];
/** All alike, but now and then one of them stalls: about three at any time. */
const nowAndThen: SimulatedWorkers[] = [
  { name: 'shared', count: WORKERS, computeMs: withStalls(usual, { share: 0.01, factor: 6 }) },
];

const models: readonly [name: string, consistency: Consistency][] = [
  ['bsp', bsp()],
  ['bsp, 3 backups', bsp({ backupWorkers: 3 })],
  ['ssp(1)', ssp({ staleness: 1 })],
  ['ssp(3)', ssp({ staleness: 3 })],
  ['ssp(10)', ssp({ staleness: 10 })],
  ['asp', asp()],
];

for (const [title, workers] of [
  ['3 of 64 workers are always slow', alwaysSlow],
  ['any of 64 workers stalls now and then', nowAndThen],
] as const) {
  console.log(`${title}; ${values.seconds} s of virtual time`);
  console.log('                 steps/s  waiting  largest lead  mean delay  seconds to a loss of 0.01');
  for (const [name, consistency] of models) {
    // BSP averages the gradients of a clock, the others apply each: a step of theirs is a 64th as long.
    const learningRate = consistency.name === 'bsp' ? 0.64 : 0.01;
    const { stepsPerS, waitShare, leads, delays, losses } = simulate({
      workers,
      consistency,
      clocks: Number.POSITIVE_INFINITY,
      forMs,
      modelBytes: 1_000_000,
      training: { parameters, optimizer: sgd({ learningRate }), ...regression, lossEveryMs: 100 },
      seed: 1,
    });
    const reached = losses.find(({ loss }) => loss <= 0.01);
    const columns = [
      name.padEnd(16),
      stepsPerS.toFixed(0).padStart(8),
      `${(100 * waitShare).toFixed(0)} %`.padStart(9),
      String(leads.max).padStart(14),
      delays.mean.toFixed(1).padStart(12),
      (reached === undefined ? 'not reached' : (reached.ms / 1_000).toFixed(1)).padStart(27),
    ];
    console.log(columns.join(''));
  }
  console.log('');
}
