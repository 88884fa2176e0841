/**
 * Click prediction that learns online: two service processes behind one port predict from their local copies of a
 * factorization machine, and learn from what is clicked; the parameter server is killed on the way and recovers; this
 * process is the traffic, in a world that changes. Scores are progressive: each prediction is scored with what was
 * served before its outcome was known.
 *
 *     npx tsx examples/online-ctr/main.ts --seconds 60 --rate 1000
 *
 * --freeze S: the model that it is compared with stops learning after S seconds (default a quarter)
 * --kill S:   the parameter server is killed after S seconds (default the half; 0: never)
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client } from './client.js';
import { ServerProcess, Service } from './processes.js';
import { impressions } from './truth.js';
import { showEnd, showHead, showSecond } from './view.js';

/** Seconds in which processes warm up: their latencies do not count. */
const WARM_UP_SECONDS = 3;
/** How long the parameter server stays away. */
const AWAY_SECONDS = 3;
const PROCESSES = 2;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '40' },
    rate: { type: 'string', default: '1000' },
    freeze: { type: 'string' },
    kill: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const seconds = Number(values.seconds);
const rate = Number(values.rate);
const freezeAt = Number(values.freeze ?? Math.ceil(seconds / 4));
const killAt = Number(values.kill ?? Math.ceil(seconds / 2));

const dataDir = await mkdtemp(join(tmpdir(), 'online-ctr-'));
const server = new ServerProcess(dataDir);
const service = new Service();
let client: Client | undefined;
try {
  await server.start();
  const secret = randomBytes(16).toString('hex');
  const port = await service.start(PROCESSES, server.url, secret, 0);
  console.log(
    `${PROCESSES} service processes at http://127.0.0.1:${port}, parameter server at ${server.url}`,
  );
  client = new Client(port, impressions(Number(values.seed)));
  showHead();
  for (let second = 1; second <= seconds; second++) {
    await client.send(rate, 1);
    if (second === WARM_UP_SECONDS) client.latencies.restart();
    showSecond(second, client, await service.states(), await happen(second));
  }
  await client.flush();
  await service.settled();
  showEnd(client, await service.states());
} finally {
  client?.close();
  service.stop();
  await server.kill();
  await rm(dataDir, { recursive: true });
}

/** What is to happen after `second`; says so. */
async function happen(second: number): Promise<string> {
  if (second === freezeAt) {
    service.freeze();
    return 'from now on the frozen model learns no more';
  }
  if (killAt > 0 && second === killAt) {
    await server.kill();
    return 'the parameter server is killed';
  }
  if (killAt > 0 && second === killAt + AWAY_SECONDS) {
    void server.start();
    return 'the parameter server starts again';
  }
  return '';
}
