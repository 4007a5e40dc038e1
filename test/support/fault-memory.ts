import { readFile } from 'node:fs/promises';

const KIB = 1024;

/** Memory of a process in bytes, as Linux counts it: `now` is resident, `peak` the most that ever was. */
export const memoryOf = async (pid: number): Promise<{ readonly now: number; readonly peak: number }> => {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const read = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
    if (found === undefined) throw new Error(`no ${name} in the status of process ${pid}`);
    return Number(found) * KIB;
  };
  return { now: read('VmRSS'), peak: read('VmHWM') };
};
