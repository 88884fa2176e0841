#!/usr/bin/env node
/** The command `pslib`. Each subcommand stands in a file of its own. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { inspectCommand } from './inspect.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

await new Command('pslib')
  .description('A parameter server on WebSockets.')
  .version(version)
  .addCommand(inspectCommand())
  .parseAsync();
