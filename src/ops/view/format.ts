/** Numbers as people read them: at most four characters and a unit. */

const DASH = '–';

/** 1234567 as 1,234,567. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return DASH;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A number with about three digits: 0.0123, 12.3, 1,230. */
export function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return DASH;
  const size = Math.abs(value);
  if (size >= 1000) return count(value);
  if (size === 0) return '0';
  if (size < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** Bytes with a decimal unit: 12.3 MB. */
export function bytes(value: number): string {
  return scaled(value, ['B', 'kB', 'MB', 'GB', 'TB']);
}

/** Bytes per second. */
export function bytesPerSecond(value: number): string {
  return Number.isFinite(value) ? `${bytes(value)}/s` : DASH;
}

/** How often something happens: 12.3/s. */
export function perSecond(value: number): string {
  return Number.isFinite(value) ? `${number(value)}/s` : DASH;
}

/** A share of 1 in percent, without digits that nobody reads: 84 %, < 1 %. */
export function percent(share: number | undefined): string {
  if (share === undefined || !Number.isFinite(share)) return DASH;
  if (share > 0 && share < 0.01) return '< 1 %';
  return `${Math.round(share * 100)} %`;
}

/** A duration: 0.4 ms, 12 ms, 3.2 s, 4 min 5 s, 3 h 12 min. */
export function duration(milliseconds: number | undefined): string {
  if (milliseconds === undefined || !Number.isFinite(milliseconds)) return DASH;
  if (milliseconds < 1000) return `${number(milliseconds < 10 ? milliseconds : Math.round(milliseconds))} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.floor(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function scaled(value: number, units: readonly string[]): string {
  if (!Number.isFinite(value)) return DASH;
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(rest) : number(rest)} ${units[unit]}`;
}
