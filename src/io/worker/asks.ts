/** Questions to the server itself, as JSON: its counts, and actions of an admin. */
import { PsError } from '../../core/base/errors.js';
import type { AskAnswer } from '../../core/worker/events.js';
import type { WorkerHost } from './workerHost.js';

/** Asks for the counts (`action` undefined) or for `action`; resolves to the answer's JSON. */
export async function callAsk<T>(
  host: WorkerHost,
  action: string | undefined,
  argument: Readonly<Record<string, unknown>> | undefined,
  signal: AbortSignal | undefined,
): Promise<T> {
  const bytes = argument === undefined ? undefined : new TextEncoder().encode(JSON.stringify(argument));
  const { json } = await host.call<AskAnswer>({ kind: 'ask', action, argument: bytes }, signal).answer;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json)) as T;
  } catch (cause) {
    throw new PsError('PS_PROTOCOL', 'the answer of the server is not JSON', { cause });
  }
}
