/** The terminal's view: a line for each second, and what it comes to in the end. */
import pc from 'picocolors';
import type { Client } from './client.js';
import type { ServiceState } from './processes.js';

const HEAD = [
  '                        log loss                    AUC               prediction       copy',
  '   s  impressions  learns frozen  truth   learns frozen  truth     p50    p99 ms   age ms  learned',
];

export function showHead(): void {
  console.log(HEAD.join('\n'));
}

/** `note`: what has just happened, if anything. */
export function showSecond(
  second: number,
  client: Client,
  states: readonly ServiceState[],
  note: string,
): void {
  const scores = [client.learning, client.frozen, client.truth].map((each) => each.last);
  const losses = scores.map(({ logLoss }) => logLoss.toFixed(3).padStart(6));
  const aucs = scores.map(({ auc }) => auc.toFixed(3).padStart(6));
  const [p50 = 0, p99 = 0] = client.latencies.takeRecent(0.5, 0.99);
  const age = Math.max(...states.map(({ ageMs }) => ageMs));
  const learned = states.reduce((sum, each) => sum + each.learned, 0);
  const cells = [
    `${second}`.padStart(4),
    `${client.answered}`.padStart(12),
    ` ${pc.green(losses[0] as string)} ${losses.slice(1).join(' ')}`,
    `  ${pc.green(aucs[0] as string)} ${aucs.slice(1).join(' ')}`,
    p50.toFixed(1).padStart(7),
    p99.toFixed(1).padStart(6),
    (age > 500 ? pc.yellow : pc.dim)(age.toFixed(0).padStart(10)),
    `${learned}`.padStart(8),
    note === '' ? '' : `  ${pc.yellow(note)}`,
  ];
  console.log(cells.join(' '));
}

export function showEnd(client: Client, states: readonly ServiceState[]): void {
  const [learning, frozen, truth] = [client.learning, client.frozen, client.truth].map((each) => each.last);
  const [p50 = 0, p99 = 0, worst = 0] = client.latencies.overall(0.5, 0.99, 1);
  const sumOf = (name: 'learned' | 'dropped') => states.reduce((sum, each) => sum + each[name], 0);
  const rows = [
    ['', 'log loss', 'AUC'],
    ['learns from feedback', learning?.logLoss.toFixed(4), learning?.auc.toFixed(4)],
    ['does not learn online', frozen?.logLoss.toFixed(4), frozen?.auc.toFixed(4)],
    ['the truth', truth?.logLoss.toFixed(4), truth?.auc.toFixed(4)],
  ];
  console.log('');
  for (const [name = '', loss = '', auc = ''] of rows)
    console.log(`${name.padEnd(24)}${loss.padStart(8)}  ${auc}`);
  console.log(
    `${client.answered} predictions, ${client.failed} failed; learned from ${sumOf('learned')}, dropped ${sumOf('dropped')}\n` +
      `latency p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, longest ${worst.toFixed(1)} ms, without the time of warming up`,
  );
}
