/** The architectures that can be packaged, and the proof that a native file is of one of them. */
import { open } from 'node:fs/promises';

export interface Arch {
  /** Debian's name, and Docker's. */
  readonly debian: 'amd64' | 'arm64';
  /** Node's name for `process.arch` and in the names of packages. */
  readonly node: 'x64' | 'arm64';
  /** `e_machine` of its ELF files. */
  readonly machine: number;
}

export const ARCHES: readonly Arch[] = [
  { debian: 'amd64', node: 'x64', machine: 62 },
  { debian: 'arm64', node: 'arm64', machine: 183 },
];

/** Why there is no package for an architecture that somebody may ask for. */
const REFUSED: Readonly<Record<string, string>> = {
  armhf: 'Node has no build for 32-bit ARM any more, and a package must carry the Node it was tested with',
  i386: 'neither Node nor the ngrok SDK has a build for 32-bit x86 under Linux',
};

/** The architecture by Debian's, Docker's or Node's name; a sentence when there can be no package for it. */
export const archOf = (name: string): Arch | string => {
  const alias: Readonly<Record<string, string>> = {
    x64: 'amd64',
    arm: 'armhf',
    'arm/v7': 'armhf',
    ia32: 'i386',
  };
  const debian = alias[name] ?? name;
  const found = ARCHES.find((arch) => arch.debian === debian);
  return found ?? `There is no package for ${name}: ${REFUSED[debian] ?? 'it was never tried there'}.`;
};

/** `e_machine` of an ELF file; null for any other file. */
export const machineOf = async (path: string): Promise<number | null> => {
  const file = await open(path, 'r');
  try {
    const header = Buffer.alloc(20);
    await file.read(header, 0, 20, 0);
    return header.subarray(0, 4).toString('latin1') === '\x7fELF' ? header.readUInt16LE(18) : null;
  } finally {
    await file.close();
  }
};
