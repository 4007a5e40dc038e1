/**
 * What systemd is told: datagrams to the socket that it names in the environment. Node has no such sockets, so one is
 * opened through the C library; it is loaded only where a service manager asks for it.
 */
import { closeSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';

/** One message: `READY`, `STATUS`, `MAINPID`, `WATCHDOG` … with their values. */
export type Notice = Readonly<Record<string, string | number>>;

export interface Notifier {
  /** False where nobody listens; then nothing is sent. */
  readonly isOn: boolean;
  /** Milliseconds within which the watchdog wants to hear from this process; null without one. */
  readonly watchdogMs: number | null;
  /** Sends one message. Lost only when the manager is gone. */
  send(notice: Notice): void;
  /** Resolves once the manager has read all that was sent before; also after `deadlineMs`. */
  taken(deadlineMs: number): Promise<void>;
}

const SILENT: Notifier = {
  isOn: false,
  watchdogMs: null,
  send: () => undefined,
  taken: () => Promise.resolve(),
};

/** Values may hold no line end: one would begin another variable. */
export const noticeText = (notice: Notice): string =>
  Object.entries(notice)
    .map(([name, value]) => `${name}=${String(value).replaceAll(/[\r\n]+/g, ' ')}`)
    .join('\n');

/** `sockaddr_un` of a path, or of an abstract name that is written with `@`. */
export const socketAddress = (name: string): Buffer => {
  const bytes = Buffer.from(name.startsWith('@') ? `\0${name.slice(1)}` : `${name}\0`, 'latin1');
  const family = Buffer.alloc(2);
  // In the byte order of the machine: every one we run on is little-endian.
  family.writeUInt16LE(1);
  return Buffer.concat([family, bytes]);
};

/** The watchdog's interval when it is meant for this process. */
export const watchdogMsOf = (
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | null => {
  const forPid = env['WATCHDOG_PID'];
  const us = Number(env['WATCHDOG_USEC'] ?? '');
  if (forPid !== undefined && forPid !== '' && Number(forPid) !== pid) return null;
  return Number.isFinite(us) && us > 0 ? us / 1000 : null;
};

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4_000;
const SOCK_CLOEXEC = 0o2_000_000;
const O_CLOEXEC = 0o2_000_000;

/** The calls of the C library, as far as they are needed here. */
const openLibrary = async () => {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const span = koffi.struct({ base: 'void *', len: 'size_t' });
  const message = koffi.struct({
    name: 'void *',
    namelen: 'uint32_t',
    iov: koffi.pointer(span),
    iovlen: 'size_t',
    control: 'void *',
    controllen: 'size_t',
    flags: 'int',
  });
  return {
    socket: libc.func('socket', 'int', ['int', 'int', 'int']) as (
      domain: number,
      type: number,
      protocol: number,
    ) => number,
    connect: libc.func('connect', 'int', ['int', 'void *', 'uint32_t']) as (
      fd: number,
      address: Buffer,
      length: number,
    ) => number,
    pipe: libc.func('pipe2', 'int', ['void *', 'int']) as (fds: Buffer, flags: number) => number,
    sendmsg: libc.func('sendmsg', 'intptr_t', ['int', koffi.pointer(message), 'int']) as (
      fd: number,
      message: object,
      flags: number,
    ) => number,
  };
};

type Library = Awaited<ReturnType<typeof openLibrary>>;

const connectTo = (library: Library, address: Buffer): number | null => {
  const fd = library.socket(1, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return null;
  if (library.connect(fd, address, address.length) === 0) return fd;
  closeSync(fd);
  return null;
};

/** A `cmsghdr` that carries one descriptor. */
const descriptorMessage = (fd: number): Buffer => {
  const control = Buffer.alloc(24);
  control.writeBigUInt64LE(20n, 0);
  control.writeInt32LE(1, 8);
  control.writeInt32LE(1, 12);
  control.writeInt32LE(fd, 16);
  return control;
};

/**
 * The barrier of sd_notify(3): a descriptor travels behind the messages, and the manager closes it when it has read
 * them.
 */
const barrier = (library: Library, fd: number): Socket | null => {
  const fds = Buffer.alloc(8);
  if (library.pipe(fds, O_CLOEXEC) !== 0) return null;
  const [readEnd, writeEnd] = [fds.readInt32LE(0), fds.readInt32LE(4)];
  const text = Buffer.from('BARRIER=1');
  const control = descriptorMessage(writeEnd);
  const sent = library.sendmsg(
    fd,
    {
      name: null,
      namelen: 0,
      iov: [{ base: text, len: text.length }],
      iovlen: 1,
      control,
      controllen: control.length,
      flags: 0,
    },
    0,
  );
  closeSync(writeEnd);
  if (sent < 0) {
    closeSync(readEnd);
    return null;
  }
  return new Socket({ fd: readEnd, readable: true, writable: false });
};

/** How often a manager with a full queue is tried again, and when it is given up. */
const RETRY_MS = 20;
const RETRIES = 100;

/** Opens the way to the service manager; a silent one where there is none. Rejects when the C library cannot be had. */
export const openNotifier = async (
  env: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Promise<Notifier> => {
  const name = env['NOTIFY_SOCKET'] ?? '';
  if (!/^[/@]/.test(name)) return SILENT;
  const library = await openLibrary();
  const address = socketAddress(name);
  let fd = connectTo(library, address);

  const waiting: string[] = [];
  let isRetrying = false;

  const write = (text: string): boolean => {
    fd ??= connectTo(library, address);
    if (fd === null) return false;
    try {
      writeSync(fd, text);
      return true;
    } catch (error) {
      // A full queue empties. Everything else is a manager that was replaced: its successor listens on the same path.
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
      closeSync(fd);
      fd = null;
      return false;
    }
  };

  /** In order, and without waiting: a manager that does not read must not hold the daemon up. */
  const flush = (retries: number): void => {
    while (waiting[0] !== undefined && write(waiting[0])) waiting.shift();
    isRetrying = waiting.length > 0 && retries > 0;
    if (isRetrying) clock.after(RETRY_MS, () => flush(retries - 1));
    else waiting.length = 0;
  };

  return {
    isOn: true,
    watchdogMs: watchdogMsOf(env, process.pid),
    send: (notice) => {
      waiting.push(noticeText(notice));
      if (!isRetrying) flush(RETRIES);
    },
    taken: (deadlineMs) =>
      new Promise((resolve) => {
        const end = fd === null ? null : barrier(library, fd);
        if (end === null) return resolve();
        const cancel = clock.after(deadlineMs, () => end.destroy());
        end.on('error', () => undefined);
        end.once('close', () => {
          cancel();
          resolve();
        });
        end.resume();
      }),
  };
};
