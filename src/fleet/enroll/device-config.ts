/** The configuration that a bundle carries: a template of the operator's, or the least that works, made the device's own. */
import { loadConfig } from '../../config/load-config.ts';
import type { ReadFile } from '../../config/text-file.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord } from '../../protocol/strict-json.ts';
import type { Profile } from '../profile.ts';

type Json = Readonly<Record<string, unknown>>;

export interface ConfigInputs {
  readonly device: string;
  readonly tenant: string;
  /** The operator's template; null for none. */
  readonly template: Json | null;
  readonly mqtt: Pick<Profile['mqtt'], 'url' | 'alpn'>;
  readonly trust: 'signed' | 'broker';
  /** Names of files in the folder of the configuration; empty where there is none. */
  readonly caFile: string;
  readonly hasPassword: boolean;
  /** A policy file for endpoints that name none; empty for none. */
  readonly policyFile: string;
}

/** Where the configuration lies on a box, unless `install` is told otherwise. */
export const CONFIG_DIR = '/etc/lockkeeper';

const section = (of: Json, key: string): Json => {
  const value = of[key];
  return isRecord(value) ? value : {};
};

const bad = (why: string) => failed(fault('BAD_ARGS', why, false));

/** Name under which the site's policy is declared. */
const SITE_POLICY = 'site';

const withPolicy = (endpoints: readonly unknown[]): readonly unknown[] =>
  endpoints.map((endpoint) =>
    isRecord(endpoint) && (endpoint['policy'] === undefined || endpoint['policy'] === '')
      ? { ...endpoint, policy: SITE_POLICY }
      : endpoint,
  );

/** Fills in who the device is and where its files are. `BAD_ARGS` when the template is for another device. */
export const deviceConfig = (inputs: ConfigInputs): Result<Json> => {
  const template = inputs.template ?? {};
  const own = section(template, 'device');
  for (const [key, wanted] of [
    ['id', inputs.device],
    ['tenant', inputs.tenant],
  ] as const)
    if (own[key] !== undefined && own[key] !== wanted)
      return bad(
        `The configuration is for device.${key} ${String(own[key]).slice(0, 80)}, not for ${wanted}.`,
      );
  const mqtt = section(template, 'mqtt');
  const ngrok = section(template, 'ngrok');
  const given = template['endpoints'];
  const endpoints = Array.isArray(given) ? given : [];
  const hasPolicy = inputs.policyFile !== '' && endpoints.length > 0;
  return ok({
    ...template,
    device: { ...own, id: inputs.device, tenant: inputs.tenant },
    mqtt: {
      ...mqtt,
      url: mqtt['url'] ?? inputs.mqtt.url,
      ...(mqtt['url'] === undefined && inputs.mqtt.alpn !== '' ? { alpn: inputs.mqtt.alpn } : {}),
      ...(inputs.caFile === '' || mqtt['caFile'] !== undefined ? {} : { caFile: inputs.caFile }),
      ...(inputs.hasPassword
        ? {
            username: mqtt['username'] ?? inputs.device,
            passwordFile: mqtt['passwordFile'] ?? 'mqtt-password',
          }
        : {}),
    },
    trust:
      inputs.trust === 'signed'
        ? { mode: 'signed', keysFile: 'keys.json', ...section(template, 'trust') }
        : { mode: 'broker', ...section(template, 'trust') },
    ngrok: { ...ngrok, authtokenFile: ngrok['authtokenFile'] ?? 'authtoken' },
    ...(hasPolicy
      ? {
          endpoints: withPolicy(endpoints),
          policies: { [SITE_POLICY]: inputs.policyFile, ...section(template, 'policies') },
        }
      : {}),
  });
};

/** The endpoints of a configuration, as far as an ACL needs them. */
export const endpointUrls = (config: Json): readonly { readonly name: string; readonly url: string }[] => {
  const endpoints = config['endpoints'];
  return (Array.isArray(endpoints) ? endpoints : []).filter(isRecord).map((endpoint) => ({
    name: String(endpoint['name'] ?? ''),
    url: typeof endpoint['url'] === 'string' ? endpoint['url'] : '',
  }));
};

/**
 * Checks a configuration as the daemon would read it at `dir`, with the bundle's files in their places and a token in
 * its own. Nothing is looked up or read from the network.
 */
export const checkDeviceConfig = async (
  config: Json,
  files: Readonly<Record<string, string>>,
  dir: string,
  elsewhere: ReadFile,
): Promise<Result<void>> => {
  const main = `${dir}/config.json`;
  const readFile: ReadFile = (path) => {
    if (path === main) return Promise.resolve(Buffer.from(JSON.stringify(config)));
    const inside = path.startsWith(`${dir}/`) ? files[path.slice(dir.length + 1)] : undefined;
    return inside === undefined ? elsewhere(path) : Promise.resolve(Buffer.from(inside));
  };
  const loaded = await loadConfig({
    file: main,
    env: {},
    readFile,
    // The box's own resolver decides on the box.
    lookup: () => Promise.resolve([]),
  });
  return loaded.ok ? ok(undefined) : bad(`The configuration will not do: ${loaded.fault.message}`);
};
