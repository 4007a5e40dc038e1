/** `lockkeeperd --check`, and the way both it and the daemon's start read the configuration. */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { EXIT } from '../core/errors.ts';
import { formatConfig } from './check.ts';
import { type LoadResult, loadConfig } from './load-config.ts';
import { secretFileWarnings, secretPlaces } from './secret-files.ts';
import { isOutOfSight } from './service-credentials.ts';

/** Text for the two streams, and the exit code. */
export interface CheckOutcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/**
 * `loadConfig` with this machine's disk and resolver, and what there is to say about the files with secrets. `isLookOnly`:
 * for a person, outside the service.
 */
export const loadConfigHere = async (
  file: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
  isLookOnly = false,
): Promise<LoadResult> => {
  const loaded = await loadConfig({
    file,
    env,
    readFile,
    isLookOnly,
    lookup: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  });
  if (!loaded.ok) return loaded;
  const { config, warnings } = loaded.value;
  const more = [...secretPlaces(config), ...(await secretFileWarnings(config))];
  return { ok: true, value: { ...loaded.value, warnings: [...warnings, ...more] } };
};

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('');

/** Validates and shows the effective configuration: 0, or 78 with the first problem on the first line of stderr. */
export const checkConfig = async (
  file: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<CheckOutcome> => {
  const loaded = await loadConfigHere(file, env, true);
  if (!loaded.ok) return { stdout: '', stderr: lines(loaded.lines), code: EXIT.config };
  const { config, warnings } = loaded.value;
  const unseen = isOutOfSight(config.trust.keysFile, env)
    ? [`trust.keysFile: ${config.trust.keysFile} exists only inside the service, and was not looked at`]
    : [];
  return {
    stdout: formatConfig(config),
    stderr: lines([...warnings, ...unseen].map((text) => `warning: ${text}`)),
    code: EXIT.ok,
  };
};
