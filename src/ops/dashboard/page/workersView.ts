/**
 * The table of workers. Rows and cells are kept and only changed where a text differs, so hundreds of
 * workers cost little each second; a filter and sorting by any column find the one that is looked for.
 */
import { count, number, percent } from '../../view/format.js';
import { type SortKey, sorted, type WorkerRow } from '../../view/workerRows.js';
import { create, element, setData, setText } from './dom.js';

interface Column {
  readonly key: SortKey;
  readonly title: string;
  readonly help: string;
  readonly text: (row: WorkerRow) => string;
  /** Draws a meter beside the text. */
  readonly meter?: 'own' | 'cause';
  readonly isText?: boolean;
}

const COLUMNS: readonly Column[] = [
  { key: 'id', title: 'Worker', help: 'its id', text: ({ id }) => id, isText: true },
  {
    key: 'state',
    title: 'State',
    help: 'what it does now',
    text: ({ state, role }) => (role === 'reader' ? 'reader' : state),
    isText: true,
  },
  {
    key: 'clock',
    title: 'Clock',
    help: 'steps it has completed',
    text: ({ clock, role }) => (role === 'reader' ? '–' : count(clock)),
  },
  {
    key: 'lead',
    title: 'Lead',
    help: 'its clock minus the smallest',
    text: ({ lead }) => (lead === undefined ? '–' : String(lead)),
  },
  {
    key: 'delay',
    title: 'Delay',
    help: 'of its last push, in updates',
    text: ({ delay, role }) => (role === 'reader' ? '–' : count(delay)),
  },
  {
    key: 'stepsPerS',
    title: 'Steps/s',
    help: 'over the last ten seconds',
    text: ({ stepsPerS }) => number(stepsPerS),
  },
  {
    key: 'waitShare',
    title: 'Waits',
    help: 'share of its time that its pulls waited',
    text: ({ waitShare }) => percent(waitShare),
    meter: 'own',
  },
  {
    key: 'awaitedShare',
    title: 'Holds up',
    help: 'share of all waiting that was for it',
    text: ({ awaitedShare }) => percent(awaitedShare),
    meter: 'cause',
  },
];

/** Shows workers. */
export class WorkersView {
  readonly #body = document.querySelector('#workers-table tbody') as HTMLElement;
  readonly #headings: HTMLTableCellElement[];
  readonly #evictHeading = create('th');
  readonly #lines = new Map<string, HTMLTableRowElement>();
  readonly #onEvict: (id: string) => void;
  #rows: readonly WorkerRow[] = [];
  #slowest: string | undefined;
  #mayEvict = false;
  /** Undefined: as the server lists them, the slowest first. */
  #sort: { readonly key: SortKey; readonly isDescending: boolean } | undefined;

  /** `onEvict` is called when someone wants to evict a worker. */
  constructor(onEvict: (id: string) => void) {
    this.#onEvict = onEvict;
    const line = create('tr');
    this.#headings = COLUMNS.map((column) => this.#heading(column));
    this.#evictHeading.hidden = true;
    this.#evictHeading.append(create('span', 'visually-hidden', 'Actions'));
    line.append(...this.#headings, this.#evictHeading);
    document.querySelector('#workers-table thead')?.append(line);
    element('find').addEventListener('input', () => this.#draw());
  }

  /** Shows `rows`; `slowest` is marked. */
  show(rows: readonly WorkerRow[], slowest: string | undefined, mayEvict: boolean): void {
    this.#rows = rows;
    this.#slowest = slowest;
    if (mayEvict !== this.#mayEvict) {
      this.#mayEvict = mayEvict;
      this.#evictHeading.hidden = !mayEvict;
      this.#lines.clear();
      this.#body.replaceChildren();
    }
    this.#draw();
  }

  #draw(): void {
    const wanted = element<HTMLInputElement>('find').value.trim().toLowerCase();
    const found = this.#rows.filter(({ id }) => id.toLowerCase().includes(wanted));
    const rows = this.#sort === undefined ? found : sorted(found, this.#sort.key, this.#sort.isDescending);
    const shown = new Set(rows.map(keyOf));
    for (const [key, line] of this.#lines) {
      if (shown.has(key)) continue;
      line.remove();
      this.#lines.delete(key);
    }
    for (const [i, row] of rows.entries()) {
      const line = this.#line(row);
      if (this.#body.children[i] !== line) this.#body.insertBefore(line, this.#body.children[i] ?? null);
      this.#fill(line, row);
    }
    setText(element('workers-count'), this.#countText(found.length));
  }

  #countText(found: number): string {
    const all = this.#rows.length;
    const training = this.#rows.filter(({ lead }) => lead !== undefined).length;
    return found === all
      ? `${count(training)} of ${count(all)} train`
      : `${count(found)} of ${count(all)} found`;
  }

  #heading({ key, title, help, isText = false }: Column): HTMLTableCellElement {
    const cell = create('th', isText ? 'text' : '');
    cell.scope = 'col';
    const button = create('button', '', title);
    button.type = 'button';
    button.title = help;
    button.addEventListener('click', () => this.#sortBy(key, isText));
    cell.append(button);
    return cell;
  }

  /** First the interesting end, then the other, then the server's order again. */
  #sortBy(key: SortKey, isText: boolean): void {
    const first = !isText;
    if (this.#sort?.key !== key) this.#sort = { key, isDescending: first };
    else if (this.#sort.isDescending === first) this.#sort = { key, isDescending: !first };
    else this.#sort = undefined;
    for (const [i, cell] of this.#headings.entries()) {
      if (this.#sort === undefined || COLUMNS[i]?.key !== this.#sort.key) cell.removeAttribute('aria-sort');
      else cell.setAttribute('aria-sort', this.#sort.isDescending ? 'descending' : 'ascending');
    }
    this.#draw();
  }

  #line(row: WorkerRow): HTMLTableRowElement {
    const known = this.#lines.get(keyOf(row));
    if (known !== undefined) return known;
    const line = create('tr');
    for (const { isText = false, meter } of COLUMNS) {
      const cell = create('td', isText ? 'text' : '');
      if (meter !== undefined) {
        const bar = create('span', meter === 'own' ? 'meter' : 'meter cause');
        bar.append(create('i'));
        cell.append(bar);
      }
      cell.append(create('span'));
      line.append(cell);
    }
    if (this.#mayEvict) line.append(this.#evictCell(row));
    this.#lines.set(keyOf(row), line);
    return line;
  }

  #evictCell({ id, role }: WorkerRow): HTMLTableCellElement {
    const cell = create('td');
    if (role === 'reader') return cell;
    const button = create('button', 'quiet small', 'Evict');
    button.type = 'button';
    button.setAttribute('aria-label', `Evict ${id}`);
    button.addEventListener('click', () => this.#onEvict(id));
    cell.append(button);
    return cell;
  }

  #fill(line: HTMLTableRowElement, row: WorkerRow): void {
    line.classList.toggle('slowest', row.id === this.#slowest && row.role === 'worker');
    for (const [i, { key, text, meter }] of COLUMNS.entries()) {
      const cell = line.children[i] as HTMLElement;
      const label = cell.lastElementChild as HTMLElement;
      setText(label, text(row));
      if (key === 'state') {
        label.className = 'state';
        setData(label, 'state', row.state);
      }
      if (key === 'id') cell.title = row.id;
      if (meter !== undefined) this.#setMeter(cell, row[key]);
    }
  }

  #setMeter(cell: HTMLElement, share: WorkerRow[SortKey]): void {
    const width = `${Math.round(100 * Number(share ?? 0))}%`;
    const bar = cell.firstElementChild?.firstElementChild as HTMLElement;
    if (bar.style.width !== width) bar.style.width = width;
  }
}

function keyOf({ role, id }: WorkerRow): string {
  return `${role} ${id}`;
}
