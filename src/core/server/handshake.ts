/**
 * Hello → Welcome: which session a connection belongs to. A known key resumes its session; another key
 * under the same id is a new process, which takes over if the old one's socket is gone, with a new epoch.
 */
import { PsError } from '../base/errors.js';
import { stalenessOf } from '../consistency/consistency.js';
import { encodeCatalogue } from '../protocol/catalogueCodec.js';
import { MessageType, PROTOCOL_VERSION } from '../protocol/messages.js';
import type { WireTable } from '../protocol/rowMessages.js';
import type { Hello, Welcome } from '../protocol/sessionMessages.js';
import type { TableSpec } from '../table/embeddingTable.js';
import { type CoreContext, decide, isShard } from './context.js';
import type { Principal } from './events.js';
import { EVICTED_KEY, evictedError } from './eviction.js';
import type { Membership } from './membership.js';
import { includesRole } from './rights.js';
import { Session } from './session.js';

/** A session and how it was found. */
interface Admission {
  readonly session: Session;
  /** Whether it was known. */
  readonly isResumed: boolean;
}

/** Admits workers and readers. */
export class Handshake {
  readonly #context: CoreContext;
  readonly #membership: Membership;
  readonly #closeOld: (session: Session) => void;
  readonly #catalogue: Uint8Array;

  /** `closeOld` ends the old connection of a session that is resumed on a new one. */
  constructor(context: CoreContext, membership: Membership, closeOld: (session: Session) => void) {
    this.#context = context;
    this.#membership = membership;
    this.#closeOld = closeOld;
    this.#catalogue = encodeCatalogue(context.state.table.catalogue);
  }

  /** Welcomes the sender of `hello`. Throws the typed error that refuses it; then nothing has changed. */
  admit(connection: number, principal: Principal, hello: Hello): Session {
    if (hello.protocol !== PROTOCOL_VERSION) {
      throw new PsError(
        'PS_VERSION',
        `the server speaks protocol ${PROTOCOL_VERSION}, not ${hello.protocol}`,
      );
    }
    checkRights(principal, hello);
    const { failure } = this.#context.commits;
    if (failure !== undefined && !hello.readOnly) throw failure;
    const { session, isResumed } = hello.readOnly ? this.#admitReader(hello) : this.#admitWorker(hello);
    session.connection = connection;
    this.#membership.join(session);
    // A worker is welcomed when its session is committed: an epoch must not be given out twice.
    const { commits } = this.#context;
    commits.whenCommitted(session.isReader ? 0 : commits.last, () => {
      if (session.connection !== connection) return;
      const message = this.#welcome(session, isResumed);
      this.#context.emit({ kind: 'send', connection, message, payload: this.#catalogue });
    });
    return session;
  }

  #admitReader(hello: Hello): Admission {
    const { now } = this.#context;
    return { session: new Session(hello.worker, hello.session, 1, true, now), isResumed: false };
  }

  #admitWorker(hello: Hello): Admission {
    const { state, options, now } = this.#context;
    const known = state.sessions.get(hello.worker);
    if (known !== undefined && known.key === hello.session) {
      if (known.connection !== undefined) this.#closeOld(known);
      return { session: known, isResumed: true };
    }
    // It was welcomed to this history before, but its session is not the one that is known.
    const isWelcomed = hello.lineage === options.lineage;
    if (isWelcomed && this.#isKnown(known)) throw sessionOver(hello.worker, known);
    if (known?.connection !== undefined) {
      const retryAfterMs = Math.max(0, Math.round(known.leaseUntil - now));
      const message = `the id "${hello.worker}" belongs to a worker that is connected`;
      throw new PsError('PS_ID_IN_USE', message, { details: { retryAfterMs } });
    }
    if (known !== undefined) this.#membership.leave(known, 'replaced');
    const { maxSessions } = options.limits;
    const isFull = known === undefined && state.sessions.size >= maxSessions;
    if (isFull && !this.#membership.forgetOne()) {
      throw new PsError('PS_LIMIT', `${maxSessions} workers are remembered already: no room for another id`);
    }
    const epoch = (known?.epoch ?? 0) + 1;
    decide(this.#context, { kind: 'session', worker: hello.worker, key: hello.session, epoch });
    return { session: state.session(hello.worker), isResumed: false };
  }

  /** Whether `found` is all there is to know of an id: a state that went back may lack its last session. */
  #isKnown(found: Session | undefined): boolean {
    const { now, mayLackSessionsUntil } = this.#context;
    return now >= mayLackSessionsUntil || found?.isRecovered === false;
  }

  #welcome(session: Session, resumed: boolean): Welcome {
    const { options, state } = this.#context;
    const { limits, shard } = options;
    const { tables } = state.tables;
    return {
      t: MessageType.welcome,
      protocol: PROTOCOL_VERSION,
      incarnation: options.incarnation,
      lineage: options.lineage,
      shardIndex: shard.index,
      shardCount: shard.count,
      epoch: session.epoch,
      resumed,
      committedSeq: session.committedSeq,
      clock: session.clock,
      minClock: state.clocks.minClock,
      version: state.version,
      chunkBytes: limits.chunkBytes,
      maxUnansweredPushes: limits.maxUnansweredPushes,
      leaseMs: limits.leaseMs,
      pingMs: limits.pingMs,
      maxStepMs: limits.maxStepMs,
      pullTimeoutMs: limits.pullTimeoutMs,
      ...(tables.length === 0
        ? {}
        : { tables: tables.map(({ spec }) => wireTableOf(spec, shard.count > 1)) }),
      ...(isShard(this.#context)
        ? { group: options.group, nonFinite: options.nonFinite, graceMs: limits.disconnectGraceMs }
        : {}),
      staleness: stalenessOf(state.model),
    };
  }
}

/** A worker of a group must know the bound: it sends nothing of a push that one of the shards would refuse. */
function wireTableOf({ name, dim, maxRows }: TableSpec, isOfGroup: boolean): WireTable {
  return isOfGroup && maxRows !== Number.POSITIVE_INFINITY ? { name, dim, maxRows } : { name, dim };
}

function sessionOver(worker: string, successor: Session | undefined): PsError {
  if (successor?.key === EVICTED_KEY) return evictedError(worker);
  return successor !== undefined
    ? new PsError('PS_FENCED', `another process has taken over the id "${worker}"`)
    : new PsError(
        'PS_SESSION_EXPIRED',
        `the session of "${worker}" was silent for too long and is forgotten`,
      );
}

function checkRights({ role, id }: Principal, hello: Hello): void {
  if (id !== undefined && id !== hello.worker) {
    throw new PsError('PS_FORBIDDEN', `this token belongs to another worker id than "${hello.worker}"`);
  }
  if (!hello.readOnly && !includesRole(role, 'worker')) {
    throw new PsError('PS_FORBIDDEN', `the role ${role} may not train: connect with readOnly`);
  }
}
