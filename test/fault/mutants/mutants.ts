/**
 * Known bugs, each as a textual change of the sources that is made in a copy when the test runs, and never
 * in the sources themselves. The simulator must find each of them. A text that is not there exactly once
 * fails the test: then the source has changed, and the mutant must follow.
 */
import { FAULT_GROUPS } from '../../../src/testing/faults/faults.js';
import type { ScheduleOptions } from '../../../src/testing/search/schedule.js';
import { CACHE_MUTANTS } from './cacheMutants.js';
import type { Mutant, Patch } from './mutant.js';
import { ROW_MUTANTS } from './rowMutants.js';

/** Updates and copies take many turns, so that everything comes between. Not a bug. */
const SLICED: readonly Patch[] = [
  {
    file: 'core/table/job.ts',
    find: 'const SLICE_ELEMENTS = 524_288;',
    replace: 'const SLICE_ELEMENTS = 80;',
  },
  {
    file: 'core/table/job.ts',
    find: 'const IN_PLACE_ELEMENTS = 8_388_608;',
    replace: 'const IN_PLACE_ELEMENTS = 80;',
  },
];

const JOURNAL: ScheduleOptions = { durability: 'journal' };
/** Workers train on data shards. */
const DATA: ScheduleOptions = { hasData: true };
const pushes = 'core/server/pushes.ts';

/** All planted bugs. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'acknowledged before commit',
    bug: 'a push is answered before its record is durable',
    patches: [
      {
        file: pushes,
        find: 'commits.whenCommitted(commits.append(record), onCommitted, () => this.#release(push));',
        replace: 'commits.append(record);\n      onCommitted();',
      },
    ],
    options: JOURNAL,
  },
  {
    name: 'duplicate answered before commit',
    bug: 'a repeated push is answered before the record of the first is durable, and the Welcome of a resumed session, which would hide it, does not wait either',
    patches: [
      {
        file: 'core/server/handshake.ts',
        find: 'commits.whenCommitted(session.isReader ? 0 : commits.last, () => {',
        replace: 'commits.whenCommitted(session.isReader || isResumed ? 0 : commits.last, () => {',
      },
      {
        file: pushes,
        find: 'commits.whenCommitted(isCommitted ? 0 : commits.last, () => this.#answerAgain(session, push));',
        replace: 'this.#answerAgain(session, push);',
      },
    ],
    options: { ...JOURNAL, faults: ['reset', 'stallDisk', 'killServer'] },
  },
  {
    name: 'session table not saved',
    bug: 'a checkpoint has no sessions',
    patches: [
      {
        file: 'core/server/stateImage.ts',
        find: 'sessions: [...sessions.values()].map(',
        replace: 'sessions: [...sessions.values()].slice(0, 0).map(',
      },
    ],
    options: JOURNAL,
  },
  {
    name: 'a group counts as synced too early',
    bug: 'the journal reports records as durable when they are written',
    patches: [
      {
        file: 'io/storage/segmentWriter.ts',
        find: 'if (isSynced) this.#file.writeSynced(',
        replace: 'if (isSynced) this.#file.write(',
      },
    ],
    options: JOURNAL,
  },
  {
    name: 'a large group is not synced',
    bug: 'a group of records that takes several writes counts as durable when they are written',
    patches: [
      {
        file: 'io/storage/journalWriter.ts',
        find: "if (this.#options.mode === 'journal' && ",
        replace: "if (this.#options.mode !== 'journal' && ",
      },
    ],
    options: JOURNAL,
  },
  {
    name: 'a filler is longer than it says',
    bug: 'the filler before a large push counts its own front twice',
    patches: [
      {
        file: 'io/storage/segmentFormat.ts',
        find: 'setUint53(view, 8, length - FRONT_BYTES);',
        replace: 'setUint53(view, 8, length);',
      },
    ],
    options: JOURNAL,
  },
  {
    name: 'a filler is the end',
    bug: 'what is behind a filler in the journal is not recovered',
    patches: [
      {
        file: 'io/storage/journalReader.ts',
        find: 'if (at + gap === this.#size) break;',
        replace: 'if (gap > 0) break;',
      },
    ],
    options: JOURNAL,
  },
  {
    name: 'journal reads reused memory',
    bug: 'a staging area is given back before the journal has written it',
    patches: [
      {
        file: pushes,
        find: 'commits.whenCommitted(commits.append(record), onCommitted, () => this.#release(push));',
        replace:
          'const number = commits.append(record);\n      this.#release(push);\n      commits.whenCommitted(number, onCommitted);',
      },
    ],
    options: JOURNAL,
  },
  {
    name: 'welcome before commit',
    bug: 'a worker is welcomed before its session is durable',
    patches: [
      {
        file: 'core/server/handshake.ts',
        find: 'commits.whenCommitted(session.isReader ? 0 : commits.last, () => {',
        replace: 'commits.whenCommitted(0, () => {',
      },
    ],
    options: { ...JOURNAL, faults: FAULT_GROUPS.disk },
  },
  {
    name: 'clock told before commit',
    bug: 'the server does not take over a clock that its recovered state lacks',
    patches: [
      {
        file: 'core/server/requests.ts',
        find: 'if (!mayBeHigher || clock <= session.clock) return;',
        replace: 'if (clock >= 0) return;',
      },
    ],
    options: { durability: 'checkpoint', faults: FAULT_GROUPS.disk },
  },
  {
    name: 'off-by-one staleness',
    bug: 'a pull is answered one clock too early',
    patches: [
      {
        file: 'core/consistency/ssp.ts',
        find: 'return table.minClock >= clock - this.#staleness;',
        replace: 'return table.minClock >= clock - this.#staleness - 1;',
      },
    ],
  },
  {
    name: 'an old version is good enough',
    bug: 'a pull gets a version that others read, whatever its age',
    patches: [
      {
        file: 'core/consistency/ssp.ts',
        find: 'return minClockThen >= clock - this.#staleness;',
        replace: 'return minClockThen >= 0 || clock > 0;',
      },
    ],
    options: { consistency: { name: 'ssp', staleness: 0 } },
  },
  {
    name: 'delay across lives',
    bug: 'versions of an earlier life of the server count as if they were of this one',
    patches: [
      {
        file: pushes,
        find: 'const version = isOfThisLife ? stamp.version : Math.min(stamp.version, firstVersion);',
        replace: 'const version = isOfThisLife || firstVersion >= 0 ? stamp.version : 0;',
      },
    ],
    options: { durability: 'journal', faults: FAULT_GROUPS.disk },
  },
  {
    name: 'own pushes not seen',
    bug: 'a pull gets an old version without the worker’s own pushes',
    patches: [
      {
        file: 'core/server/pullAnswers.ts',
        find: 'const least = Math.max(pull.session.ownVersion, this.#leastVersion(message));',
        replace: 'const least = this.#leastVersion(message);',
      },
    ],
  },
  {
    name: 'leaving without waking',
    bug: 'a worker that is evicted wakes nobody',
    patches: [
      {
        file: 'core/server/membership.ts',
        find: "decide(this.#context, { kind: 'leave', worker: session.id });",
        replace:
          "const record = { kind: 'leave', worker: session.id } as const;\n      this.#context.state.apply(record, this.#context.now);\n      this.#context.commits.append(record);",
      },
    ],
  },
  {
    name: 'a version becomes free without waking',
    bug: 'a pull that waits for a version to read is not looked at when one is released',
    patches: [
      {
        file: 'core/server/pullAnswers.ts',
        find: 'stream.answer.release();\n    this.#context.isDirty = true;',
        replace: 'stream.answer.release();',
      },
    ],
  },
  {
    name: 'rejoin at a lower clock',
    bug: 'a worker enters the clock table at its old clock',
    patches: [
      {
        file: 'core/consistency/clockTable.ts',
        find: 'const entry = Math.max(this.#minClock, clock);',
        replace: 'const entry = clock;',
      },
      {
        file: 'core/server/state.ts',
        find: 'return Math.max(this.clocks.minClock, session.clock, this.policy.entryFloor);',
        replace: 'return Math.max(session.clock, this.policy.entryFloor);',
      },
    ],
  },
  {
    name: 'a pause of the server evicts',
    bug: 'leases are not renewed after the server itself was stopped',
    patches: [
      {
        file: 'core/server/membership.ts',
        find: 'if (pausedMs > 0) this.renewAll();',
        replace: '',
      },
    ],
    options: { faults: ['stopServer', 'reset'] },
  },
  {
    name: 'stale epoch accepted',
    bug: 'a process that was replaced is let in again',
    patches: [
      {
        file: 'core/server/handshake.ts',
        find: 'if (isWelcomed && this.#isKnown(known)) throw sessionOver(hello.worker, known);',
        replace: '',
      },
    ],
  },
  {
    name: 'tick overtakes push',
    bug: 'a worker sends what is behind a push while its chunks are leaving',
    patches: [
      {
        file: 'core/worker/sender.ts',
        find: 'if (this.#streaming !== undefined) return;',
        replace: "if (this.#streaming !== undefined && each.kind === 'push') return;",
      },
    ],
  },
  {
    name: 'tick applied before push',
    bug: 'the server handles a tick while the push before it is arriving',
    patches: [
      {
        file: 'core/server/inboxes.ts',
        find: "session.inbox.push({ kind: 'request', message });\n    this.drain(session);",
        replace:
          "if (message.t === MessageType.tick) session.inbox.unshift({ kind: 'request', message });\n    else session.inbox.push({ kind: 'request', message });\n    this.drain(session);",
      },
      {
        file: 'core/worker/sender.ts',
        find: 'if (this.#streaming !== undefined) return;',
        replace: "if (this.#streaming !== undefined && each.kind === 'push') return;",
      },
    ],
  },
  {
    name: 'version published before update finished',
    bug: 'a pull can begin while the version that it gets is being written',
    patches: [
      ...SLICED,
      {
        file: 'core/table/versionStore.ts',
        find: 'if (this.isWritingInPlace) return undefined;',
        replace: '',
      },
    ],
  },
  {
    name: 'pull of live memory',
    bug: 'a pull sends whatever is current, chunk by chunk',
    patches: [
      {
        file: 'core/server/pullStream.ts',
        find: 'const values = pin?.values ?? this.#versions.current;',
        replace: 'const values = this.#versions.current;',
      },
    ],
  },
  {
    name: 'version released before it is sent',
    bug: 'a version is free for writing when its last chunk was handed over, not when it was taken',
    patches: [
      {
        file: 'io/transport/outbox.ts',
        find: 'if (!sending.isWhole || sending.untaken > 0 || !this.#leaving.delete(sending)) return;',
        replace: 'if (!sending.isWhole || !this.#leaving.delete(sending)) return;',
      },
    ],
  },
  {
    name: 'BSP summed in order of arrival',
    bug: 'the updates of a clock are added as they came',
    patches: [
      {
        file: 'core/table/clockBuffer.ts',
        find: 'return [...this.#contributions.values()].sort((a, b) => (a.worker < b.worker ? -1 : 1));',
        replace: 'return [...this.#contributions.values()];',
      },
    ],
    showsInBits: true,
  },
  {
    name: 'BSP closes a clock too early',
    bug: 'a clock closes when everyone has reached it, not passed it',
    patches: [
      {
        file: 'core/consistency/bsp.ts',
        find: 'if (table.minClock > this.#openClock) return Math.min(firstBuffered ?? Infinity, table.minClock - 1);',
        replace:
          'if (table.minClock >= this.#openClock && firstBuffered !== undefined) return firstBuffered;',
      },
    ],
  },
  {
    name: 'BSP answers before the clock is closed',
    bug: 'a pull does not wait for the clock before its own',
    patches: [
      {
        file: 'core/consistency/bsp.ts',
        find: 'return this.#openClock >= clock;',
        replace: 'return this.#openClock >= clock - 1;',
      },
    ],
  },
  {
    name: 'duplicate applied twice',
    bug: 'a repeat of the last push is decided again',
    patches: [
      { file: pushes, find: 'if (seq <= session.decidedSeq) {', replace: 'if (seq < session.decidedSeq) {' },
      {
        file: 'core/server/reception.ts',
        find: 'const isDecided = message.seq <= session.decidedSeq;',
        replace: 'const isDecided = message.seq < session.decidedSeq;',
      },
    ],
  },
  {
    name: 'late push acknowledged as applied',
    bug: 'a push that comes too late for its clock is answered as applied',
    patches: [
      {
        file: pushes,
        find: "case 'late':\n        return { outcome: 'dropped', rateFactor: 0 };",
        replace: "case 'late':\n        return { outcome: 'applied', rateFactor: 0 };",
      },
    ],
  },
  {
    name: 'resent with a new number',
    bug: 'a push that is sent again takes a new sequence number',
    patches: [
      {
        file: 'core/worker/pushOperation.ts',
        find: 'rewind(): void {\n    this.isSent = false;',
        replace: 'rewind(): void {\n    this.assignment = undefined;\n    this.isSent = false;',
      },
    ],
  },
  {
    name: 'rollback not noticed',
    bug: 'a worker goes on as if the server still knew what it had answered',
    patches: [
      {
        file: 'core/worker/workerCore.ts',
        find: 'if (previous !== undefined && hasLost) this.#rollback(',
        replace: 'if (previous === "" && hasLost) this.#rollback(',
      },
    ],
  },
  {
    name: 'two pushes in one scratch memory',
    bug: 'of two pushes that leave in one step, the second overwrites the first',
    patches: [
      {
        file: 'core/worker/sender.ts',
        find: 'if (this.#isScratchTaken) return new Uint8Array(bytes);',
        replace: '',
      },
    ],
  },
  {
    name: 'a transfer waits for nobody',
    bug: 'a transfer that finds the window full of other messages is never begun',
    patches: [
      {
        file: 'io/transport/outbox.ts',
        find: 'return this.#untakenParts === 0 || this.#transport.bufferedBytes < this.#windowBytes;',
        replace: 'return this.#transport.bufferedBytes < this.#windowBytes;',
      },
    ],
  },
  {
    name: 'a worker that left is back',
    bug: 'a worker does not say again that it has left the clock table',
    patches: [
      {
        file: 'core/worker/sender.ts',
        find: "const place = this.#isInTable ? 'enter' : 'leave';\n    if (this.#wasInTable)",
        replace: "const place = 'enter';\n    if (this.#isInTable)",
      },
    ],
    options: { durability: 'checkpoint', membership: 'changing', faults: FAULT_GROUPS.disk },
  },
  {
    name: 'a lost session is an expired one',
    bug: 'workers whose session a recovered state lacks are sent away for good',
    patches: [
      {
        file: 'core/server/handshake.ts',
        find: 'return now >= mayLackSessionsUntil || found?.isRecovered === false;',
        replace: 'return now >= 0 || mayLackSessionsUntil > 0 || found?.isRecovered === false;',
      },
    ],
  },
  {
    name: 'dropped examples count',
    bug: 'a push that is dropped for its delay counts its examples',
    patches: [
      {
        file: 'core/server/state.ts',
        find: "if (data !== undefined && (isApplied || record.outcome === 'buffered'))",
        replace: "if (data !== undefined && !data.isDuplicate && record.outcome !== 'refused')",
      },
    ],
    options: DATA,
  },
  {
    name: 'data shard issued from its start',
    bug: 'a data shard that comes back is handed out from its start, not from where it is counted',
    patches: [
      {
        file: 'core/tasks/dataQueue.ts',
        find: 'from: this.progress.positionOf(dataShard, begin) ?? end };',
        replace: 'from: begin };',
      },
    ],
    options: DATA,
  },
  {
    name: 'lost lease accepted',
    bug: 'a worker that lost its data shard may go on counting',
    patches: [
      {
        file: pushes,
        find: 'return state.data.progress.counts(range) && (!isOwner || state.data.isHeld(id, range));',
        replace: 'return state.data.progress.counts(range) && (!isOwner || id !== undefined);',
      },
    ],
    options: { ...DATA, durability: 'journal' },
  },
  {
    name: 'progress not committed with the push',
    bug: 'the record of a push says nothing of its examples',
    patches: [
      {
        file: 'core/server/recordCodec.ts',
        find: 'if (data !== undefined) writeCountedData(writer, data);',
        replace: '',
      },
      {
        file: 'core/server/recordCodec.ts',
        find: '(data === undefined ? 0 : HAS_DATA) +',
        replace: '',
      },
    ],
    options: { ...DATA, durability: 'journal' },
  },
  {
    name: 'open data shards not saved',
    bug: 'a checkpoint forgets how far data shards are counted that are not done',
    patches: [
      {
        file: 'core/tasks/dataProgress.ts',
        find: 'const open = [...this.#open].sort(([a], [b]) => a - b);',
        replace: 'const open = [...this.#open].slice(0, 0);',
      },
    ],
    options: { ...DATA, durability: 'journal' },
  },
  {
    name: 'data shards of the dead are not given back',
    bug: 'a worker that is evicted keeps its data shards',
    patches: [
      {
        file: 'core/server/membership.ts',
        find: 'if (!session.isReader) this.#giveBack(session);',
        replace: '',
      },
    ],
    options: DATA,
  },
  {
    name: 'a returned data shard wakes nobody',
    bug: 'workers that wait for a data shard are not looked at when one comes back',
    patches: [
      {
        file: 'core/server/tasks.ts',
        find: '    this.data.reconsider();\n',
        replace: '    if (this.data.waiting === 0) this.data.reconsider();\n',
      },
    ],
    options: DATA,
  },
  {
    name: 'waits for data in the clock table',
    bug: 'a worker that waits for a data shard stays in the clock table',
    patches: [
      {
        file: 'core/server/dataDesk.ts',
        find: "decide(this.#context, { kind: 'leave', worker: session.id });",
        replace: '',
      },
    ],
    options: { ...DATA, consistency: { name: 'ssp', staleness: 0 } },
  },
  {
    name: 'epoch over before its updates are in',
    bug: 'an epoch ends while updates of it are buffered',
    patches: [
      {
        file: 'core/server/dataDesk.ts',
        find: '!isEpochCounted || state.hasBuffered) return;',
        replace: '!isEpochCounted) return;',
      },
    ],
    options: { ...DATA, consistency: { name: 'bsp', backupWorkers: 0 } },
  },
  {
    name: 'next epoch before the last is over',
    bug: 'data shards count as done when they are handed out for the last time',
    patches: [
      {
        file: 'core/tasks/dataQueue.ts',
        find: 'this.progress.doneShards === shardsOf(current.dataSet)',
        replace: 'this.progress.doneShards + this.leases.size === shardsOf(current.dataSet)',
      },
    ],
    options: DATA,
  },
  {
    name: 'goes on behind a batch that was dropped',
    bug: 'a worker takes the next batch although the one before it did not count',
    patches: [
      {
        file: 'core/tasks/heldShard.ts',
        find: "this.position = progress === 'lost' ? range.from : progress;",
        replace: '',
      },
    ],
    options: DATA,
  },
  {
    name: 'one data shard for two',
    bug: 'a data shard that was handed out is still the next one',
    patches: [
      {
        file: 'core/tasks/dataQueue.ts',
        find: 'if (this.#returned[0] === dataShard) this.#returned.shift();',
        replace: 'if (this.#returned[0] === dataShard) return;',
      },
    ],
    options: DATA,
  },
  {
    name: 'data shard told of before commit',
    bug: 'a data shard is handed out before the record of its lease is durable',
    patches: [
      {
        file: 'core/server/dataDesk.ts',
        find: 'commits.whenCommitted(commits.last, () => {',
        replace: 'commits.whenCommitted(0, () => {',
      },
    ],
    options: { ...DATA, durability: 'journal' },
  },
  {
    name: 'epoch not saved',
    bug: 'a checkpoint does not say which epoch it is',
    patches: [
      {
        file: 'core/tasks/dataQueue.ts',
        find: 'current: this.#current ?? null,',
        replace: 'current: this.#current === undefined ? null : { ...this.#current, epoch: 0 },',
      },
    ],
    options: { ...DATA, durability: 'journal' },
  },
  ...ROW_MUTANTS,
  ...CACHE_MUTANTS,
];
