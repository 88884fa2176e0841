/**
 * The soak: `npm run soak -- --minutes 30 --seed 1`. A server with a journal and 4 worker processes; every
 * few clocks something is killed or stopped. At the end every push is accounted for, and the server's
 * memory has not grown. Not part of the tests: it takes as long as it is told.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '../../../src/core/base/random.js';
import { WORKERS } from './cells.js';
import { Child } from './child.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, seed: { type: 'string', default: '1' } },
});
const endAt = performance.now() + Number(values.minutes) * 60_000;
const random = new Random(Number(values.seed));
const folder = mkdtempSync(join(tmpdir(), 'pslib-soak-'));
/** Memory of servers that have run for about as long, in bytes: the first and the later ones. */
const memory: number[] = [];
const MEGABYTE = 2 ** 20;

let server = new Child('serverProcess.ts', [folder, 0, 3]);
const { url } = await server.next('listening');
const { port } = new URL(String(url));
const workers = Array.from({ length: WORKERS }, (_, rank) => begin(rank));
const counts = { serverKills: 0, workerKills: 0, pauses: 0 };

function begin(rank: number): Child {
  return new Child('workerProcess.ts', [String(url), rank, 'Infinity']);
}

async function memoryOf(): Promise<number> {
  const said = server.next('memory');
  server.tell('memory');
  return Number((await said).rss);
}

try {
  await Promise.all(workers.map((worker) => worker.next('acknowledged')));
  while (performance.now() < endAt) {
    await server.next('clock', 20 + random.nextInt(200));
    const rank = random.nextInt(WORKERS);
    switch (random.nextInt(3)) {
      case 0:
        memory.push(await memoryOf());
        await server.kill();
        server = new Child('serverProcess.ts', [folder, port, 3]);
        await server.next('listening');
        counts.serverKills++;
        break;
      case 1:
        await workers[rank]?.kill();
        workers[rank] = begin(rank);
        await workers[rank]?.next('acknowledged');
        counts.workerKills++;
        break;
      default:
        // Stopped until the others have waited for it; under SSP they can't go far.
        await workers[rank]?.kill('SIGSTOP');
        await workers[rank]?.kill('SIGCONT');
        counts.pauses++;
    }
  }
  const finished = workers.map((worker) => worker.next('finished'));
  server.tell('finish');
  await Promise.all(finished);
  const said = server.next('cells');
  server.tell('read');
  const { own, shared, version } = await said;
  const sum = (own as number[]).reduce((a, b) => a + b, 0);
  const early = Math.max(...memory.slice(0, 5));
  const late = Math.max(...memory.slice(-5));
  console.log(`${JSON.stringify(counts)}, ${version} updates`);
  console.log(
    `memory ${Math.round(early / MEGABYTE)} MB in the first lives, ${Math.round(late / MEGABYTE)} MB in the last`,
  );
  if (sum !== shared || sum !== version)
    throw new Error(`cells ${sum}, shared ${shared}, version ${version}`);
  if (memory.length >= 10 && late > early * 1.3) throw new Error('the server’s memory has grown');
  console.log('every update is accounted for');
} finally {
  await Promise.all([server, ...workers].map((child) => child.kill()));
  rmSync(folder, { recursive: true, force: true });
}
