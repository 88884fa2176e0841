/**
 * A checkpoint of a group, or of one server, asked for over the wire by an admin: the shards agree on a clock that none
 * has reached, each takes its part when it gets there, and then each is told of all parts. Training goes on.
 */
import { PsError } from '../../core/base/errors.js';
import type { ServerReport } from '../serverReport.js';
import { clockToAgreeOn, nameAt } from './agreedClock.js';

/** A worker of all shards whose token has the role admin. */
interface Admin {
  stats(): Promise<ServerReport>;
  control(
    action: string,
    argument?: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>>;
}

/** One shard's part. */
export interface SetPart {
  readonly file: string;
  /** Where it lies on the shard's machine. */
  readonly path: string;
  readonly bytes: number;
  readonly version: number;
}

/** A set that was taken. */
export interface CheckpointSet {
  /** All updates of earlier clocks are in it. */
  readonly clock: number;
  /** In the order of shards. */
  readonly shards: readonly SetPart[];
}

/**
 * Has a checkpoint taken as the set `set`. Rejects with `PS_CLOCK_TIMEOUT`, `PS_STORAGE`, `PS_FORBIDDEN`,
 * `PS_INVALID_ARGUMENT` (a server that has no directory for it), `PS_OUTCOME_UNKNOWN`; a set of the same name that
 * was there before then stays whole.
 */
export async function checkpointOverWire(
  admin: Admin,
  set: string,
  timeoutMs: number | undefined,
): Promise<CheckpointSet> {
  const reports = partsOf<ServerReport>(await admin.stats());
  const { count } = (reports[0] as ServerReport).stats.shard;
  if (reports.length < count) {
    throw new PsError('PS_CONNECTION_LOST', `only ${reports.length} of ${count} shards are connected`);
  }
  const clock = clockToAgreeOn(reports.map(({ stats }) => stats));
  const taken = await admin.control('checkpoint', { set, name: nameAt(clock), clock, timeoutMs });
  const shards = partsOf<SetPart>(taken).map(({ file, path, bytes, version }) => ({
    file,
    path,
    bytes,
    version,
  }));
  if (shards.some(({ file }) => typeof file !== 'string')) {
    throw new PsError('PS_PROTOCOL', 'a server took a checkpoint and did not say where');
  }
  const named = shards.map(({ file, bytes, version }) => ({ file, bytes, version }));
  await admin.control('manifest', { set, clock, shards: named });
  return { clock, shards };
}

/** What each shard said, in their order; the one answer of a server that is alone. */
function partsOf<T>(answer: object): readonly T[] {
  return (answer as { shards?: readonly T[] }).shards ?? [answer as T];
}
