/**
 * What becomes of the page, from the browser's events. It decides nothing: what a worker does about it is in
 * `WorkerBase` and the core. In a Web Worker there is no page, and only news of the network.
 */
import type { PageListener } from '../platform.js';

/** The events, each with the target that it comes to and what it says. */
type Handlers = readonly [target: EventTarget, name: string, say: (event: Event) => void][];

/** Tells `listener` what becomes of this page. Returns how to stop. */
export function watchPage(listener: PageListener): () => void {
  const handlers: Handlers = [...pageHandlers(listener), ...networkHandlers(listener)];
  for (const [target, name, say] of handlers) target.addEventListener(name, say);
  return () => {
    for (const [target, name, say] of handlers) target.removeEventListener(name, say);
  };
}

function pageHandlers(listener: PageListener): Handlers {
  const { document, window } = globalThis as Partial<Pick<typeof globalThis, 'document' | 'window'>>;
  if (document === undefined || window === undefined) return [];
  const look = () => {
    if (document.visibilityState === 'hidden') {
      listener.hide();
      return;
    }
    listener.show();
    // A laptop that was asleep, or a phone's browser, may only say that the page is seen again.
    listener.wake();
  };
  if (document.visibilityState === 'hidden') listener.hide();
  // A page that is kept in the history comes back with all that it had; any other is gone.
  const leave = (event: Event) =>
    (event as PageTransitionEvent).persisted ? listener.sleep() : listener.end();
  const comeBack = (event: Event) => {
    if ((event as PageTransitionEvent).persisted) listener.wake();
  };
  return [
    [document, 'visibilitychange', look],
    [document, 'freeze', () => listener.sleep()],
    [document, 'resume', () => listener.wake()],
    [window, 'pagehide', leave],
    [window, 'pageshow', comeBack],
  ];
}

function networkHandlers(listener: PageListener): Handlers {
  // `offline` is no reason to give up a connection: a server on this very machine is still there.
  if (typeof globalThis.addEventListener !== 'function') return [];
  return [[globalThis, 'online', () => listener.wake()]];
}
