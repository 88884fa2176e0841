#!/usr/bin/env node
/** The command `pslib`. Each subcommand stands in a file of its own. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { PsError } from '../core/base/errors.js';
import { checkpointCommand } from './checkpoint.js';
import { inspectCommand } from './inspect.js';
import { launchCommand } from './launch.js';
import { serveCommand } from './serve.js';
import { topCommand } from './top.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

try {
  await new Command('pslib')
    .description('A parameter server on WebSockets.')
    .version(version)
    .addCommand(checkpointCommand())
    .addCommand(inspectCommand())
    .addCommand(launchCommand())
    .addCommand(serveCommand())
    .addCommand(topCommand())
    .parseAsync();
} catch (error) {
  if (!(error instanceof PsError)) throw error;
  console.error(`pslib: ${error.message} (${error.code})`);
  process.exitCode = error.code === 'PS_INVALID_ARGUMENT' ? 2 : 1;
}
