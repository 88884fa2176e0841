/** pslib, the model held by 2 servers. */
import type { Peer } from '../peer.js';
import { peer as pslib } from './pslib.js';

export const peer: Peer = { ...pslib, name: 'pslibGroup2', title: 'pslib, 2 servers', servers: 2 };
