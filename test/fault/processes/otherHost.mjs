/**
 * Loaded before a server, makes its process believe that it runs on the machine called $OTHER_HOST: the start of the
 * system has another name, and sockets that lock a directory are seen on that machine alone.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import os from 'node:os';

const host = process.env.OTHER_HOST;
const { readFileSync } = fs;
const { listen } = net.Server.prototype;

fs.readFileSync = (path, ...rest) =>
  path === '/proc/sys/kernel/random/boot_id' ? `boot of ${host}\n` : readFileSync(path, ...rest);
os.hostname = () => host;
net.Server.prototype.listen = function listenThere(options, ...rest) {
  const path = options?.path;
  const there = path?.startsWith('\0') || path?.endsWith('/lock') ? `\0${host} ${path.slice(1)}` : path;
  return listen.call(this, path === undefined ? options : { ...options, path: there }, ...rest);
};
syncBuiltinESMExports();
