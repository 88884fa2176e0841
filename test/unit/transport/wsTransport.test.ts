import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import type { TransportHandlers } from '../../../src/io/transport/transport.js';
import { WsTransport } from '../../../src/io/transport/wsTransport.js';

// One read of a socket may hold many messages: those behind a pause are kept, and no other read is made meanwhile.

class FakeSocket extends EventEmitter {
  isPaused = false;
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
}

it('that is paused again while it hands over what it kept does not read on', () => {
  const socket = new FakeSocket();
  const received: (number | undefined)[] = [];
  const handlers: Partial<TransportHandlers> = {
    onFrame(frame) {
      received.push(frame[0]);
      if (received.length % 2 === 0) transport.pause();
    },
  };
  const transport = new WsTransport(socket as unknown as WebSocket, handlers as TransportHandlers);
  for (let i = 1; i <= 5; i++) socket.emit('message', Uint8Array.of(i).buffer, true);
  expect([received, socket.isPaused]).toEqual([[1, 2], true]);
  transport.resume();
  expect([received, socket.isPaused]).toEqual([[1, 2, 3, 4], true]);
  transport.resume();
  expect([received, socket.isPaused]).toEqual([[1, 2, 3, 4, 5], false]);
});
