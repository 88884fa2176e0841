/** Pushes to a server that keeps a journal: durability 'journal'. */
import type { Peer } from '../peer.js';
import { pushing } from './pslibPush.js';

export const peer: Peer = pushing('pslibPushJournal', 'journal', 'journal');
