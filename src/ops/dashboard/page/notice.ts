/** What stands on the page when there is nothing to see: why, and what to do about it. */
import type { PsError } from '../../../core/base/errors.js';
import { element, setText } from './dom.js';

/** A notice's words. */
interface Notice {
  readonly title: string;
  readonly text: string;
  readonly asksForToken: boolean;
}

/** Hides the notice. */
export function hideNotice(): void {
  element('notice').hidden = true;
}

/** Shows the form for a token. */
export function showTokenForm(): void {
  show({ title: 'Token', text: 'Which token should this page connect with?', asksForToken: true });
  element('token').focus();
}

/** Says why the connection failed. */
export async function explain(error: PsError, hadToken: boolean): Promise<void> {
  show(await noticeOf(error, hadToken));
}

async function noticeOf(error: PsError, hadToken: boolean): Promise<Notice> {
  switch (error.code) {
    case 'PS_UNAUTHORIZED':
      return hadToken
        ? { title: 'This token is not valid', text: 'The server knows no such token.', asksForToken: true }
        : {
            title: 'This server asks for a token',
            text: 'One with the role monitor is enough to watch.',
            asksForToken: true,
          };
    case 'PS_FORBIDDEN':
      return {
        title: 'This token may not watch',
        text: `The server says: ${error.message}. A token for this page has the role monitor, and is bound to no worker id.`,
        asksForToken: true,
      };
    case 'PS_CONNECT_FAILED':
    case 'PS_CONNECTION_LOST':
    case 'PS_CONNECT_TIMEOUT':
      return connectionNotice(error);
    default:
      return {
        title: 'The connection has ended',
        text: `${error.message} (${error.code})`,
        asksForToken: false,
      };
  }
}

/** A page can't see why a WebSocket was refused; the server says it to a request. */
async function connectionNotice(error: PsError): Promise<Notice> {
  const { origin } = location;
  try {
    const response = await fetch('origin', { headers: { 'X-Page-Origin': origin } });
    const { allowed } = (await response.json()) as { allowed?: boolean };
    if (allowed === false) {
      return {
        title: 'The server takes no connections from this page',
        text: `Its origin, ${origin}, is not among the server's allowedOrigins. Open the page at an IP address or localhost, or add the origin.`,
        asksForToken: false,
      };
    }
  } catch {
    return { title: 'The server does not answer', text: 'It is tried again by itself.', asksForToken: false };
  }
  return {
    title: 'No connection',
    text: `${error.message} It is tried again by itself.`,
    asksForToken: false,
  };
}

function show({ title, text, asksForToken }: Notice): void {
  setText(element('notice-title'), title);
  setText(element('notice-text'), text);
  element('token-form').hidden = !asksForToken;
  element('notice').hidden = false;
}
