/** `pslib top URL…`: a server, or the shards of a group, watched in a terminal. */
import { Command } from 'commander';
import { showWatch, Watch } from './topWatch.js';

interface TopOptions {
  readonly once: boolean;
}

/** The subcommand. Its exit code is 1 when the server refuses it. */
export function topCommand(): Command {
  return new Command('top')
    .description('Watch a server: the loss, its workers, and who holds the others up.')
    .argument('<url...>', 'a server, or every shard of a group: ws://host:port/path')
    .option('--once', 'look once, print, and end', false)
    .addHelpText(
      'after',
      '\nA token with the right to monitor is taken from PSLIB_TOKEN.\nKeys: q ends, s changes the order.',
    )
    .action(async (urls: string[], { once }: TopOptions) => {
      const watch = new Watch(urls, process.env.PSLIB_TOKEN);
      await showWatch(watch, { once, input: process.stdin, output: process.stdout });
    });
}
