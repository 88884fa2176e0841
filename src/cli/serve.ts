/** `pslib serve FILE`: a server for the model that a file describes. */
import { Command } from 'commander';
import { integerArgument, secondsArgument, shardArgument } from './arguments.js';
import { type ServeFlags, serve } from './serveModel.js';

/** The subcommand. Its exit code is 0 when a signal has ended it in good order, else another. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('Serve the model that a file describes, until SIGTERM or SIGINT.')
    .argument('<file>', 'options of a ParameterServer: JSON, or a module whose default export they are')
    .option('--port <n>', 'port; 0: any free one (default: 7077)', integerArgument)
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--data-dir <dir>', 'keep the state there (default: in memory)')
    .option('--shard <index/count>', 'be one of several servers of the model', shardArgument)
    .option('--dashboard', 'serve a page that shows training')
    .option('--insecure', 'listen beyond this machine without authentication')
    .option('--drain-timeout <s>', 'seconds for pushes that are under way at the end', secondsArgument, 30)
    .addHelpText(
      'after',
      `
The file: { "parameters": { "w": { "shape": [10] } }, "optimizer": { "name": "adam", "learningRate": 0.001 },
"consistency": { "name": "ssp", "staleness": 3 }, … }; all options are plain data there. Where
PSLIB_ROLE is set, fromEnvironment() says the rest; options on the command line go before it.
Workers need the token in PSLIB_TOKEN, if it is set.

Example:
  pslib serve model.json --port 7077 --data-dir state`,
    )
    .action(async (file: string, flags: ServeFlags) => {
      process.exitCode = await serve(file, flags);
    });
}
