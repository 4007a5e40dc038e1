import { type LoadedConfig, type LoadResult, loadConfig } from '../../src/config/load-config.ts';

/** The smallest configuration that is valid: a bench device whose broker is on loopback. */
export const BENCH_CONFIG = {
  device: { id: 'press-7', tenant: 'acme' },
  mqtt: { url: 'mqtt://127.0.0.1:1883' },
  trust: { mode: 'broker' },
  upstreams: { hmi: { url: 'http://127.0.0.1:8080' } },
} as const;

const CONFIG_FILE = '/etc/lockkeeper/config.json';

export interface Given {
  /** The configuration file: text as it is, bytes, or a value to be written as JSON. */
  readonly config?: unknown;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Other files by path. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Addresses by host name; a name that is missing cannot be resolved. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
}

const bytesOf = (config: unknown): Uint8Array =>
  config instanceof Uint8Array
    ? config
    : Buffer.from(typeof config === 'string' ? config : JSON.stringify(config));

/** Loads a configuration from memory, as `/etc/lockkeeper/config.json`. */
export const load = ({
  config = BENCH_CONFIG,
  env = {},
  files = {},
  hosts = {},
}: Given): Promise<LoadResult> => {
  const all = new Map(
    Object.entries({ ...files, [CONFIG_FILE]: bytesOf(config) }).map(([path, text]) => [
      path,
      Buffer.from(text),
    ]),
  );
  return loadConfig({
    file: CONFIG_FILE,
    env,
    readFile: async (path) => {
      const found = all.get(path);
      if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return found;
    },
    lookup: async (host) => {
      const found = hosts[host];
      if (found === undefined) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
      return found;
    },
  });
};

/** Loads what must be valid. */
export const loadGood = async (given: Given): Promise<LoadedConfig> => {
  const result = await load(given);
  if (!result.ok) throw new Error(result.lines.join('\n'));
  return result.value;
};

/** Loads what must be refused, and gives the lines for stderr. */
export const loadBad = async (given: Given): Promise<readonly string[]> => {
  const result = await load(given);
  if (result.ok) throw new Error('the configuration was taken');
  return result.lines;
};
