/** Options of every command that talks to ngrok's API, and the client that they lead to. */
import { type Command, Option } from 'commander';
import { ok, type Result } from '../../core/errors.ts';
import {
  API_RATE,
  createNgrokApi,
  createSharedRateStore,
  type NgrokApi,
  readApiKey,
  sharedRateFile,
} from '../api/index.ts';
import type { Profile } from '../profile.ts';
import type { Cli } from './cli.ts';
import { countOption } from './fleet-options.ts';
import type { Output } from './output.ts';
import { secretPrompt } from './prompt.ts';

export interface ApiOptions {
  readonly apiUrl?: string;
  readonly apiKeyFile?: string;
  readonly apiRate?: number;
  readonly botUsers?: boolean;
}

/** Adds the options. */
export const withApiOptions = (command: Command): Command =>
  command
    .option('--api-url <url>', "ngrok's API, instead of the profile's (default https://api.ngrok.com)")
    .option('--api-key-file <file>', "file with the API key (else the profile's, NGROK_API_KEY, a question)")
    .option('--api-rate <n>', 'API requests a minute (default 120; 0 for no limit)', countOption)
    .addOption(new Option('--bot-users', 'use /bot_users in the place of /service_users'));

/** The client. Requests of other command lines of this user count for its rate, too. */
export const apiOf = async (
  cli: Cli,
  out: Output,
  profile: Profile,
  options: ApiOptions,
  signal?: AbortSignal,
): Promise<Result<NgrokApi>> => {
  const key = await readApiKey({
    keyFile: options.apiKeyFile ?? profile.api.keyFile,
    env: cli.env,
    prompt: secretPrompt({ input: process.stdin, output: process.stderr }, 'API key: '),
  });
  if (!key.ok) return key;
  if (key.value.warning !== undefined) out.note(key.value.warning);
  const url = options.apiUrl ?? profile.api.url;
  const limit = options.apiRate ?? API_RATE.limit;
  const api = createNgrokApi({
    url,
    key: key.value.key,
    users: options.botUsers === true ? 'bot_users' : 'service_users',
    rate: limit === 0 ? null : { ...API_RATE, limit },
    rateStore: createSharedRateStore(sharedRateFile(cli.env, url, key.value.key)),
    clock: cli.clock,
    ...(signal === undefined ? {} : { signal }),
  });
  return api.ok ? ok(api.value) : api;
};
