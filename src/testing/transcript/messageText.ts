/** One line of text for a message of the protocol, for people who read transcripts. */
import { codeOfWire } from '../../core/base/errors.js';
import { type Message, MessageType } from '../../core/protocol/messages.js';

/** What `message` says; `payloadBytes` is what came with it. */
export function textOf(message: Message, payloadBytes: number): string {
  switch (message.t) {
    case MessageType.hello: {
      const again = message.lineage === undefined ? '' : `, again in ${message.lineage}`;
      return `hello from ${message.session}${message.readOnly ? ', read only' : ''}${again}`;
    }
    case MessageType.goodbye:
      return 'goodbye';
    case MessageType.ping:
      return 'ping';
    case MessageType.computing:
      return `computing for up to ${message.stepMs} ms`;
    case MessageType.enter:
      return 'enter';
    case MessageType.leave:
      return 'leave';
    case MessageType.tick:
      return `tick to ${message.clock}`;
    case MessageType.pull:
      return `pull ${message.request}${message.training ? ` for clock ${message.clock}` : ''}${message.wait ? ', wait for news' : ''}`;
    case MessageType.cancel:
      return `cancel pull ${message.request}`;
    case MessageType.push: {
      const tick = message.tick === undefined ? '' : `, tick to ${message.tick}`;
      return `push ${message.seq} of clock ${message.clock}, ${payloadBytes} of ${message.bytes} bytes${tick}`;
    }
    case MessageType.pushChunk:
      return `push ${message.seq} from byte ${message.offset}, ${payloadBytes} bytes`;
    default:
      return answerText(message, payloadBytes);
  }
}

function answerText(message: Message, payloadBytes: number): string {
  switch (message.t) {
    case MessageType.welcome: {
      const { epoch, resumed, committedSeq, clock, version, incarnation } = message;
      return `welcome to ${incarnation}${resumed ? ', resumed' : ''}: epoch ${epoch}, push ${committedSeq}, clock ${clock}, version ${version}`;
    }
    case MessageType.pong:
      return 'pong';
    case MessageType.fault:
      return `${codeOfWire(message.code)}: ${message.message}`;
    case MessageType.finish:
      return `finish: ${message.reason}`;
    case MessageType.drain:
      return `drain, come back in ${message.retryAfterMs} ms`;
    case MessageType.staleness:
      return `staleness ${message.staleness ?? 'without bound'}`;
    case MessageType.clockResult:
      return `clock ${message.clock}, minClock ${message.minClock}`;
    case MessageType.pullResult: {
      const what = message.notModified ? 'not modified' : `${payloadBytes} of ${message.bytes} bytes`;
      return `answer to pull ${message.request}: version ${message.version}, clock ${message.clock}, minClock ${message.minClock}, ${what}`;
    }
    case MessageType.pullChunk:
      return `answer to pull ${message.request} from byte ${message.offset}, ${payloadBytes} bytes`;
    case MessageType.waiting: {
      const laggards = message.laggards.map(([id, clock]) => `${id} at clock ${clock}`).join(', ');
      return `pull ${message.request} waits (${message.reason})${laggards === '' ? '' : `: ${laggards}`}`;
    }
    case MessageType.pushResult: {
      const { seq, outcome, duplicate, version, delay, clock } = message;
      return `push ${seq} ${outcome}${duplicate ? ' before' : ''}: version ${version}, delay ${delay}, clock ${clock}`;
    }
    default:
      return `message ${message.t}`;
  }
}
