/**
 * A process that floods a server: `attack.js PLAN`. It knows nothing of the protocol: the plan holds the bytes. It begins
 * at once, says when its first connections are open, and ends with its standard input.
 */
import { connect, type Socket } from 'node:net';
import { answer, readLines } from './lines.js';

/** What is sent; bytes as base64. */
export interface AttackPlan {
  readonly port: number;
  /** Connections at a time; one that ends is opened anew. 0: it only computes, beside the server. */
  readonly connections: number;
  /** Lines of the request that are added to those of an upgrade; undefined: `first` comes without a request. */
  readonly headers?: readonly string[];
  /** What the request asks for; default pslib's own stream. */
  readonly subprotocol?: string;
  /** Sent once, when the connection is upgraded; then so many zeros. */
  readonly first?: string;
  readonly zeros?: number;
  /** Sent again and again. */
  readonly again?: string;
  /** Between two of them; 0: as fast as the socket takes them. */
  readonly everyMs?: number;
  /** What it reads of the answers; default all. */
  readonly readBytesPerS?: number;
  /** Hangs up as soon as the first bytes are sent. */
  readonly hangsUp?: boolean;
  /** New connections per second at most; default 2,000. */
  readonly openingsPerS?: number;
}

const UPGRADED = '\r\n\r\n';
const SPIN_MS = 20;

const plan = JSON.parse(process.argv[2] ?? 'null') as AttackPlan;
const zeros = Buffer.alloc(plan.zeros ?? 0);
const first = Buffer.concat([Buffer.from(plan.first ?? '', 'base64'), zeros]);
const again = Buffer.from(plan.again ?? '', 'base64');
const request = [
  'GET / HTTP/1.1',
  'Host: 127.0.0.1',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  `Sec-WebSocket-Protocol: ${plan.subprotocol ?? 'pslib.v1.stream'}`,
  ...(plan.headers ?? []),
  '\r\n',
].join('\r\n');
const counts = { opened: 0, refused: 0, ended: 0 };

function open(): void {
  const socket = connect({ port: plan.port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.once('close', () => {
    counts.ended++;
    setTimeout(open, (1000 * plan.connections) / (plan.openingsPerS ?? 2000));
  });
  socket.once('connect', () => {
    if (plan.headers === undefined) begin(socket);
    else socket.write(request);
  });
  if (plan.headers === undefined) return;
  socket.once('data', (answered: Buffer) => {
    if (answered.includes('101 Switching') && answered.includes(UPGRADED)) begin(socket);
    else {
      counts.refused++;
      socket.destroy();
    }
  });
}

function begin(socket: Socket): void {
  counts.opened++;
  if (plan.readBytesPerS === undefined) socket.resume();
  else readSlowly(socket, plan.readBytesPerS);
  if (plan.hangsUp) {
    socket.end(first);
    return;
  }
  socket.write(first);
  const { everyMs } = plan;
  if (again.length === 0) return;
  if (everyMs !== undefined && everyMs > 0) {
    const timer = setInterval(() => socket.write(again), everyMs);
    socket.once('close', () => clearInterval(timer));
    return;
  }
  const flood = (): void => {
    while (!socket.destroyed && socket.write(again));
  };
  socket.on('drain', () => setImmediate(flood));
  flood();
}

/** Takes one read of the socket at a time, and waits for as long as it should have taken. */
function readSlowly(socket: Socket, bytesPerS: number): void {
  if (bytesPerS === 0) {
    socket.pause();
    return;
  }
  socket.on('data', (bytes: Buffer) => {
    socket.pause();
    const timer = setTimeout(() => socket.resume(), (1000 * bytes.length) / bytesPerS);
    socket.once('close', () => clearTimeout(timer));
  });
  socket.resume();
}

/** Takes processor time, and lets the commands in between. */
function spin(): void {
  for (const end = performance.now() + SPIN_MS; performance.now() < end; );
  setImmediate(spin);
}

if (plan.connections === 0) spin();
for (let i = 0; i < plan.connections; i++) open();
answer({ pid: process.pid });
readLines(
  process.stdin,
  () => answer(counts),
  () => process.exit(0),
);
