/** `pslib inspect FILE`: what is in a checkpoint or a journal segment, and whether it verifies. */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { inspectFile } from './inspectFile.js';

/** The subcommand. Its exit code is 1 when the file can't be read or does not verify. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Print what is in a checkpoint or a journal segment, and whether it verifies.')
    .argument('<file>', 'a .safetensors or .pslog file')
    .option('--records', 'list every record of a journal segment', false)
    .action(async (file: string, { records }: { records: boolean }) => {
      const { lines, isWhole } = await inspectFile(resolve(file), records);
      for (const line of lines) console.log(line);
      if (!isWhole) process.exitCode = 1;
    });
}
