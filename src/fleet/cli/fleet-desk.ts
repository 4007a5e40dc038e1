/** What the commands that look at the fleet start from: the broker always, ngrok's API where there is a key. */
import { ok, type Result } from '../../core/errors.ts';
import { API_KEY_VARIABLE } from '../api/api-key.ts';
import type { NgrokApi } from '../api/index.ts';
import type { Profile } from '../profile.ts';
import { DEFAULT_WATCH, type WatchSettings } from '../watch/judge.ts';
import { type ApiOptions, apiOf } from './api-options.ts';
import type { Cli } from './cli.ts';
import type { Output } from './output.ts';

export const MQTT_ONLY =
  'There is no API key: sessions, endpoints and credentials at ngrok are not looked at, and devices that never connected are not seen.';

/** The client, or null without a key. A key that is named and cannot be used is a fault. */
export const apiIfAny = async (
  cli: Cli,
  out: Output,
  profile: Profile,
  options: ApiOptions,
): Promise<Result<NgrokApi | null>> => {
  const hasKey =
    (options.apiKeyFile ?? profile.api.keyFile) !== '' || (cli.env[API_KEY_VARIABLE] ?? '').trim() !== '';
  return hasKey ? apiOf(cli, out, profile, options) : ok(null);
};

/** Thresholds as the command line gives them, in seconds. */
export interface ThresholdOptions {
  readonly healthInterval?: number;
  readonly maxTokenAge?: number;
  readonly offlineAfter?: number;
  readonly stuckAfter?: number;
}

/** Everything of `WatchSettings` but the time. */
export const thresholdsOf = (
  options: ThresholdOptions,
): Omit<WatchSettings, 'nowMs' | 'listeningSinceMs'> => ({
  ...DEFAULT_WATCH,
  ...(options.healthInterval === undefined ? {} : { healthS: options.healthInterval }),
  ...(options.maxTokenAge === undefined ? {} : { maxTokenAgeS: options.maxTokenAge }),
  ...(options.offlineAfter === undefined ? {} : { offlineAfterMs: options.offlineAfter * 1000 }),
  ...(options.stuckAfter === undefined ? {} : { stuckAfterMs: options.stuckAfter * 1000 }),
});
