/** pslib, the model held by 3 servers. */
import type { Peer } from '../peer.js';
import { peer as pslib } from './pslib.js';

export const peer: Peer = { ...pslib, name: 'pslibGroup3', title: 'pslib, 3 servers', servers: 3 };
