/** Where a node of Slurm is reached: by its name, if that resolves, else by the address that Slurm knows. */
import { execFile } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { environmentError } from './variables.js';

/** How long `scontrol` may take to answer. */
const SCONTROL_TIMEOUT_MS = 20_000;

/** A name or address for `node` that other hosts can connect to. Rejects with `PS_ENVIRONMENT`. */
export async function addressOfNode(node: string): Promise<string> {
  const isResolved = await lookup(node).then(
    () => true,
    () => false,
  );
  if (isResolved) return node;
  const answer = await scontrol(['show', 'node', '--oneliner', node]);
  const address = addressIn(answer);
  if (address !== undefined) return address;
  throw environmentError(
    'SLURM_JOB_NODELIST',
    `the node ${node} is not found: its name does not resolve, and scontrol knows no address of it`,
  );
}

/** The address in what `scontrol show node` prints; undefined if it says none. */
export function addressIn(answer: string): string | undefined {
  return /\bNodeAddr=(\S+)/.exec(answer)?.[1];
}

function scontrol(args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile('scontrol', args, { timeout: SCONTROL_TIMEOUT_MS }, (error, stdout) =>
      resolve(error === null ? stdout : ''),
    );
  });
}
