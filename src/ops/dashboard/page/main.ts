/**
 * The dashboard. It connects to the server that it came from, asks once a second what there is to see,
 * and hands it to the views. The token stays in this tab's session storage, and travels as a subprotocol.
 */
import type { ServerReport } from '../../../io/serverReport.js';
import { verdictOf, WorkerHistory } from '../../view/workerRows.js';
import { Connection, type ConnectionState } from './connection.js';
import { Controls } from './controls.js';
import { element, setData, setText } from './dom.js';
import { HistogramView } from './histogramView.js';
import { explain, hideNotice, showTokenForm } from './notice.js';
import { showDurability, showEvents, showSummary, showTasks } from './summaryView.js';
import { TrainingView } from './trainingView.js';
import { WorkersView } from './workersView.js';

const TOKEN_KEY = 'pslib.token';

let connection: Connection | undefined;
const history = new WorkerHistory();
const training = new TrainingView();
const histograms = new HistogramView();
const controls = new Controls(() => connection);
const workers = new WorkersView((id) => void controls.evict(id));

/** Where the server's WebSocket is: the page says it relative to itself. */
function socketUrl(): string {
  const place = document.querySelector<HTMLMetaElement>('meta[name="pslib-socket"]')?.content ?? '../';
  const url = new URL(place, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = '';
  url.hash = '';
  return url.href;
}

function connect(): void {
  connection?.close();
  const token = sessionStorage.getItem(TOKEN_KEY) ?? undefined;
  const url = socketUrl();
  setText(element('address'), new URL(url).host + new URL(url).pathname.replace(/\/$/, ''));
  connection = new Connection(url, token, { onReport, onState: (state) => onState(state, token) });
}

const STATUS: Readonly<Record<ConnectionState['kind'], string>> = {
  connecting: 'Connecting …',
  live: 'Live',
  waiting: 'Lost; connecting again …',
  failed: 'Not connected',
};

function onState(state: ConnectionState, token: string | undefined): void {
  setText(element('status'), STATUS[state.kind]);
  setData(element('status'), 'state', state.kind);
  if (state.kind === 'live') hideNotice();
  else if (state.kind !== 'connecting') void explain(state.error, token !== undefined);
}

function onReport(report: ServerReport, isWhole: boolean): void {
  const { record, stats } = report;
  const nowMs = record?.nowMs ?? stats.uptimeMs;
  if (isWhole) {
    training.clear();
    histograms.clear();
  }
  const shown = report.workers.filter(({ id, role }) => role === 'worker' || id !== connection?.id);
  const rows = history.rows(nowMs, shown);
  const verdict = verdictOf(rows);
  element('content').hidden = false;
  if (record !== undefined) {
    training.add(record);
    histograms.add(record);
  }
  showSummary(report, rows, verdict, training.headline);
  workers.show(rows, verdict.id, report.role === 'admin');
  showTasks(report);
  showDurability(report);
  showEvents(report);
  controls.show(report);
  document.title = titleOf(report);
}

function titleOf({ stats }: ServerReport): string {
  const value = training.headline;
  const figure = value === undefined ? '' : `${value.name} ${Number(value.value.toPrecision(3))} · `;
  return `${figure}clock ${stats.minClock} · pslib`;
}

element('token-button').addEventListener('click', showTokenForm);
element('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = element<HTMLInputElement>('token').value.trim();
  element<HTMLInputElement>('token').value = '';
  if (token === '') sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, token);
  hideNotice();
  connect();
});
connect();
