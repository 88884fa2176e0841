/**
 * Which fields each message has, in the order in which they are written. `?` marks a field that
 * may be absent; a flag (`boolean`) that is absent is false. Fields that stand in no list are
 * ignored when read, so that later versions can add some.
 */
import { FIELD_KINDS, type FieldKind, type FieldKindName } from './fields.js';
import { MessageType } from './messages.js';

/** One field of a message. */
export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly isFlag: boolean;
  readonly isOptional: boolean;
}

/** What one message consists of. */
export interface MessageSchema {
  readonly name: string;
  readonly fields: readonly Field[];
  /** Whether bytes may follow the header. */
  readonly hasPayload: boolean;
}

function schema(name: string, layout: string, hasPayload = false): MessageSchema {
  const fields = layout
    .split(' ')
    .filter((part) => part !== '')
    .map((part) => {
      const [key, kindName] = part.split(':') as [string, FieldKindName];
      const isOptional = key.endsWith('?');
      return {
        name: isOptional ? key.slice(0, -1) : key,
        kind: FIELD_KINDS[kindName],
        isFlag: kindName === 'boolean',
        isOptional: isOptional || kindName === 'boolean',
      };
    });
  return { name, fields, hasPayload };
}

/** The schema of every message type. */
export const SCHEMAS: ReadonlyMap<number, MessageSchema> = new Map<number, MessageSchema>([
  [
    MessageType.hello,
    schema('Hello', 'protocol:uint worker:id session:id readOnly:boolean lineage?:id takes?:uints'),
  ],
  [MessageType.goodbye, schema('Goodbye', 'reason:text')],
  [MessageType.ping, schema('Ping', '')],
  [MessageType.computing, schema('Computing', 'stepMs:uint')],
  [MessageType.enter, schema('Enter', 'request:uint clock?:uint')],
  [MessageType.leave, schema('Leave', 'request:uint clock?:uint')],
  [MessageType.tick, schema('Tick', 'request:uint clock:count')],
  [
    MessageType.pull,
    schema(
      'Pull',
      'request:uint training:boolean clock:uint tensors?:tensorSet ifNewerThan?:stamp wait:boolean ' +
        'consistent:boolean versions?:count withinMs?:uint spans?:count',
    ),
  ],
  [MessageType.cancel, schema('Cancel', 'request:uint')],
  [
    MessageType.push,
    schema(
      'Push',
      'seq:count clock:uint version?:stamp tensors?:tensorSet bytes:uint tick?:count metrics?:metrics examples?:uint ' +
        'normSquared?:number data?:dataRange rows?:rowCounts',
      true,
    ),
  ],
  [MessageType.pushChunk, schema('PushChunk', 'seq:count offset:uint', true)],
  [MessageType.dataRequest, schema('DataRequest', 'request:uint held:uints wants:boolean')],
  [MessageType.taskRequest, schema('TaskRequest', 'request:uint held?:uints want:uint concurrency:count')],
  [
    MessageType.taskResults,
    schema('TaskResults', 'request:uint leases:uints lengths:uints failed?:uints bytes:uint', true),
  ],
  [MessageType.taskResultChunk, schema('TaskResultChunk', 'request:uint offset:uint', true)],
  [
    MessageType.pullRows,
    schema('PullRows', 'request:uint training:boolean clock:uint table:uint bytes:uint', true),
  ],
  [MessageType.rowIds, schema('RowIds', 'request:uint offset:uint', true)],
  [
    MessageType.watchRows,
    schema(
      'WatchRows',
      'request:uint table:uint since?:stamp mark?:uint from?:uint wait:boolean versions?:count withinMs?:uint',
    ),
  ],
  [MessageType.stats, schema('Stats', 'request:uint after?:uint')],
  [MessageType.control, schema('Control', 'request:uint action:id', true)],
  [
    MessageType.welcome,
    schema(
      'Welcome',
      'protocol:uint incarnation:id lineage:id shardIndex:uint shardCount:count epoch:count resumed:boolean ' +
        'committedSeq:uint clock:uint minClock:uint version:uint chunkBytes:count maxUnansweredPushes:count ' +
        'leaseMs:uint pingMs:uint maxStepMs:uint pullTimeoutMs:uint group?:id nonFinite?:nonFinite graceMs?:uint ' +
        'staleness?:uint tables?:tables',
      true,
    ),
  ],
  [MessageType.pong, schema('Pong', '')],
  [
    MessageType.fault,
    schema(
      'Fault',
      'code:uint message:text request?:uint seq?:count duplicate?:boolean tensor?:text expectedSeq?:count ' +
        'retryAfterMs?:uint laggards?:laggards',
    ),
  ],
  [MessageType.finish, schema('Finish', 'reason:text')],
  [MessageType.drain, schema('Drain', 'retryAfterMs:uint')],
  [MessageType.clockResult, schema('ClockResult', 'request:uint clock:uint minClock:uint')],
  [
    MessageType.pullResult,
    schema(
      'PullResult',
      'request:uint version:uint clock:uint minClock:uint bytes:uint notModified:boolean spans?:spans',
      true,
    ),
  ],
  [MessageType.pullChunk, schema('PullChunk', 'request:uint offset:uint version:uint', true)],
  [MessageType.waiting, schema('Waiting', 'request:uint reason:waitReason laggards:laggards')],
  [
    MessageType.pushResult,
    schema(
      'PushResult',
      'seq:count outcome:outcome duplicate:boolean version:uint delay:uint clock:uint minClock:uint progress?:uint',
    ),
  ],
  [
    MessageType.dataLease,
    schema(
      'DataLease',
      'request:uint isEnded:boolean lease?:count dataSet?:count epoch?:uint dataShard?:uint begin?:uint end?:uint ' +
        'from?:uint size?:count seed?:uint itemBytes?:uint',
      true,
    ),
  ],
  [
    MessageType.taskLeases,
    schema('TaskLeases', 'request:uint leases:uints lengths:uints bytes:uint maxResultBytes:uint', true),
  ],
  [MessageType.leaseChunk, schema('LeaseChunk', 'request:uint offset:uint', true)],
  [MessageType.revoke, schema('Revoke', 'leases:uints')],
  [MessageType.taskAck, schema('TaskAck', 'request:uint')],
  [
    MessageType.rowChanges,
    schema(
      'RowChanges',
      'request:uint version:uint mark:uint rows:uint gone:uint whole:boolean more:boolean next?:uint',
      true,
    ),
  ],
  [MessageType.staleness, schema('Staleness', 'staleness?:uint')],
  [MessageType.statsResult, schema('StatsResult', 'request:uint', true)],
  [MessageType.controlResult, schema('ControlResult', 'request:uint', true)],
]);
