/** Cuts a stream of bytes into lines of text; a line without an end is cut at a bound. */
import { StringDecoder } from 'node:string_decoder';

const MAX_LINE_CHARACTERS = 65_536;

/** The lines of one stream. */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  write(bytes: Buffer): void {
    this.#rest += this.#decoder.write(bytes);
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() as string;
    for (const line of lines) this.#onLine(withoutReturn(line));
    if (this.#rest.length <= MAX_LINE_CHARACTERS) return;
    this.#onLine(this.#rest);
    this.#rest = '';
  }

  /** What stands behind the last end of a line. */
  end(): void {
    this.#rest += this.#decoder.end();
    if (this.#rest !== '') this.#onLine(withoutReturn(this.#rest));
    this.#rest = '';
  }
}

/** The line as it would be seen: what a carriage return has overwritten is gone. */
function withoutReturn(line: string): string {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  return text.slice(text.lastIndexOf('\r') + 1);
}
