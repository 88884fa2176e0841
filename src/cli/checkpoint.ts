/** `pslib checkpoint URL…`: a consistent checkpoint of a server, or of all shards of a group, while training goes on. */
import { Command } from 'commander';
import { checkpointOverWire } from '../io/group/wireCheckpoint.js';
import { randomHex } from '../io/randomHex.js';
import { Worker } from '../io/worker/node/worker.js';
import { bytes, count } from '../ops/view/format.js';
import { secondsArgument } from './arguments.js';
import { table } from './table.js';

interface CheckpointFlags {
  readonly set: string;
  readonly timeout: number;
}

/** The subcommand. Its exit code is 1 when the checkpoint did not come about. */
export function checkpointCommand(): Command {
  return new Command('checkpoint')
    .description('Take a consistent checkpoint of a server or a group, without stopping training.')
    .argument('<url...>', 'a server, or every shard of a group: ws://host:port/path')
    .option('--set <name>', 'its name: a directory within that of each server', 'latest')
    .option('--timeout <s>', 'seconds for the slowest worker to get to the clock', secondsArgument, 60)
    .addHelpText(
      'after',
      `
A token with the role admin is taken from PSLIB_TOKEN. The files are written by the servers, to
<dataDir>/sets/<name>, or where their option checkpoint.directory says. Where shards share no disk,
put all files and one manifest.json in one directory, which load() then takes.`,
    )
    .action(async (urls: string[], { set, timeout }: CheckpointFlags) => {
      for (const line of await take(urls, set, timeout * 1000)) console.log(line);
    });
}

async function take(urls: string[], set: string, timeoutMs: number): Promise<string[]> {
  const token = process.env.PSLIB_TOKEN;
  const admin = new Worker(urls, {
    id: `checkpoint-${randomHex(4)}`,
    readOnly: true,
    ...(token === undefined || token === '' ? {} : { token }),
  });
  try {
    const { clock, shards } = await checkpointOverWire(admin, set, timeoutMs);
    const rows = shards.map((part, i) => [
      `shard ${i + 1} of ${shards.length}`,
      bytes(part.bytes),
      `version ${count(part.version)}`,
      part.path,
    ]);
    return [`checkpoint "${set}" at clock ${count(clock)}`, ...table(rows)];
  } finally {
    await admin.close();
  }
}
