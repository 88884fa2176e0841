/**
 * Who may send what: one table, message × role. Each role may do what those before it may. A message that is
 * not in the table does not compile.
 */
import { MessageType, type WorkerMessage } from '../protocol/messages.js';

/** What a connection may do, from the least on. */
export const ROLES = ['monitor', 'reader', 'worker', 'admin'] as const;
/** `monitor` sees counts; `reader` pulls; `worker` trains; `admin` also changes settings, and evicts. */
export type Role = (typeof ROLES)[number];

/** The least role that may send each message. */
const LEAST_ROLE: Readonly<Record<WorkerMessage['t'], Role>> = {
  [MessageType.hello]: 'monitor',
  [MessageType.goodbye]: 'monitor',
  [MessageType.ping]: 'monitor',
  [MessageType.computing]: 'monitor',
  [MessageType.cancel]: 'monitor',
  [MessageType.stats]: 'monitor',
  [MessageType.pull]: 'reader',
  [MessageType.pullRows]: 'reader',
  [MessageType.rowIds]: 'reader',
  [MessageType.watchRows]: 'reader',
  [MessageType.enter]: 'worker',
  [MessageType.leave]: 'worker',
  [MessageType.tick]: 'worker',
  [MessageType.push]: 'worker',
  [MessageType.pushChunk]: 'worker',
  [MessageType.dataRequest]: 'worker',
  [MessageType.taskRequest]: 'worker',
  [MessageType.taskResults]: 'worker',
  [MessageType.taskResultChunk]: 'worker',
  [MessageType.control]: 'admin',
};

/** Whether `role` includes `least`. */
export function includesRole(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

/** Whether `role` may send messages of this type. */
export function maySend(role: Role, type: WorkerMessage['t']): boolean {
  return includesRole(role, LEAST_ROLE[type]);
}
