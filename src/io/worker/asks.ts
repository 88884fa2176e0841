/** Questions to the server itself, as JSON: its counts, and actions of an admin. */
import { PsError } from '../../core/base/errors.js';
import type { AskAnswer, AskCommand } from '../../core/worker/events.js';
import type { ServerReport } from '../serverReport.js';
import type { WorkerHost } from './workerHost.js';

/** How to ask for the counts. */
export interface StatsOptions {
  readonly signal?: AbortSignal;
  /** Points of curves up to this time are left out: `record.nowMs` of an earlier answer. */
  readonly after?: number | undefined;
}

/** Asks for the counts; resolves to what the server says. */
export function callStats(host: WorkerHost, { signal, after }: StatsOptions): Promise<ServerReport> {
  const whole = after === undefined ? undefined : Math.max(0, Math.floor(after));
  return call(host, { kind: 'ask', action: undefined, argument: undefined, after: whole }, signal);
}

/** Asks for `action`; resolves to what it gives. */
export function callControl(
  host: WorkerHost,
  action: string,
  argument: Readonly<Record<string, unknown>> | undefined,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>> {
  const bytes = argument === undefined ? undefined : new TextEncoder().encode(JSON.stringify(argument));
  return call(host, { kind: 'ask', action, argument: bytes }, signal);
}

async function call<T>(
  host: WorkerHost,
  command: Omit<AskCommand, 'request'>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { bytes } = await host.call<AskAnswer>(command, signal).answer;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as T;
  } catch (cause) {
    throw new PsError('PS_PROTOCOL', 'the answer of the server is not JSON', { cause });
  }
}
