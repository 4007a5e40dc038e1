/**
 * Loaded into a process before its program (`--import`): shifts every wall clock of JavaScript by the milliseconds that
 * stand in the file `FAULT_CLOCK_FILE`. The monotonic clock and timers go on as they are, as at a jump of a real one.
 */
import { readFileSync } from 'node:fs';

const path = process.env['FAULT_CLOCK_FILE'] ?? '';
const LOOK_MS = 20;
let offsetMs = 0;
let lookedAt = Number.NEGATIVE_INFINITY;

const offset = () => {
  const now = performance.now();
  if (now - lookedAt < LOOK_MS) return offsetMs;
  lookedAt = now;
  offsetMs = Number(readFileSync(path, 'utf8'));
  return offsetMs;
};

const RealDate = Date;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [RealDate.now() + offset()] : args, newTarget),
  get: (target, key, receiver) =>
    key === 'now' ? () => RealDate.now() + offset() : Reflect.get(target, key, receiver),
});
