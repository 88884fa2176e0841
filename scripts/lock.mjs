// Keeps package-lock.json usable everywhere: it names no registry, and it lists the packages of every
// platform. Behind a mirror that lacks some platforms npm leaves those out, and `npm ci` then fails.
// Usage, after npm install: node scripts/lock.mjs        adds what is missing
//                           node scripts/lock.mjs --check   fails where something is missing
import { readFileSync, writeFileSync } from 'node:fs';

const PLATFORM =
  /(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|x64|ia32|ppc64|riscv64|s390x)(?:-(\w+))?$/;

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const problems = [];

/** The entry of a package that npm could not see, from its name and its parent. */
function entryOf(name, version, parent) {
  const [, os, cpu, abi = ''] = PLATFORM.exec(name) ?? [];
  if (os === undefined) return undefined;
  return {
    version,
    cpu: [cpu],
    dev: true,
    ...(os === 'linux' && { libc: [abi.startsWith('musl') ? 'musl' : 'glibc'] }),
    license: parent.license,
    optional: true,
    os: [os],
  };
}

for (const [path, parent] of Object.entries(lock.packages)) {
  if (parent.resolved?.startsWith('http')) problems.push(`${path} names a registry`);
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] ?? lock.packages[`${path}/node_modules/${name}`]) continue;
    const entry = entryOf(name, version, parent);
    if (entry === undefined) continue;
    problems.push(`${name} is missing`);
    lock.packages[`node_modules/${name}`] = entry;
  }
}

if (process.argv.includes('--check')) {
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
} else if (problems.length > 0) {
  const names = Object.keys(lock.packages).sort((a, b) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(names.map((name) => [name, lock.packages[name]]));
  for (const entry of Object.values(lock.packages)) {
    if (entry.resolved?.startsWith('http')) delete entry.resolved;
  }
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`package-lock.json: ${problems.length} corrections`);
}
