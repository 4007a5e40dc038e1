/** Gathers what a bundle carries, and the ACL that fits it: the operator's files in, one checked configuration out. */
import { readFile } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import { readTextFile } from '../../config/text-file.ts';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord } from '../../protocol/strict-json.ts';
import { mayBind, ruleFor } from '../acl.ts';
import type { Profile } from '../profile.ts';
import type { SiteRecord } from '../site/site-record.ts';
import { CONFIG_DIR, checkDeviceConfig, deviceConfig, endpointUrls } from './device-config.ts';

type Json = Readonly<Record<string, unknown>>;

const MAX_FILE_BYTES = 131_072;

const bad = (message: string) => failed(fault('BAD_ARGS', message, false));

const readText = async (path: string): Promise<Result<string>> => {
  const file = await readTextFile(readFile, path, MAX_FILE_BYTES);
  return file.ok ? ok(file.text) : bad(`${file.problem}.`);
};

/** Policies that the template names by a path of its own folder travel in the bundle. */
const bundlePolicies = async (
  template: Json,
  baseDir: string,
): Promise<Result<{ readonly policies: Json; readonly files: Readonly<Record<string, string>> }>> => {
  const policies: Record<string, unknown> = {};
  const files: Record<string, string> = {};
  const given = template['policies'];
  for (const [name, path] of Object.entries(isRecord(given) ? given : {})) {
    if (typeof path !== 'string' || path === '' || isAbsolute(path)) {
      policies[name] = path;
      continue;
    }
    const text = await readText(resolve(baseDir, path));
    if (!text.ok) return text;
    const at = `policies/${basename(path)}`;
    policies[name] = at;
    files[at] = text.value;
  }
  return ok({ policies, files });
};

/** What a bundle carries besides the secrets. */
export interface Prepared {
  readonly config: Json;
  readonly files: Readonly<Record<string, string>>;
  readonly keys: string;
}

export interface PrepareOptions {
  readonly profile: Profile;
  readonly tenant: string;
  readonly device: string;
  readonly site: SiteRecord | null;
  /** The operator's template, and the folder that its relative paths are from. */
  readonly template: Json | null;
  readonly templateDir: string;
  readonly hasPassword: boolean;
}

/** Gathers the files of a bundle and checks the configuration as the device will read it. */
export const prepareBundle = async (options: PrepareOptions): Promise<Result<Prepared>> => {
  const { profile, tenant, device, site, template } = options;
  const travelling = await bundlePolicies(template ?? {}, options.templateDir);
  if (!travelling.ok) return travelling;
  const files: Record<string, string> = { ...travelling.value.files };
  if (profile.mqtt.caFile !== '') {
    const ca = await readText(profile.mqtt.caFile);
    if (!ca.ok) return ca;
    files['broker-ca.pem'] = ca.value;
  }
  if (site !== null && site.tag.policy !== '') files['policies/site.yml'] = site.tag.policy;
  let keys = '';
  if (profile.trust === 'signed') {
    const text = await readText(profile.keysFile);
    if (!text.ok) return text;
    keys = text.value;
  }
  const config = deviceConfig({
    device,
    tenant,
    template:
      template === null || Object.keys(travelling.value.policies).length === 0
        ? template
        : { ...template, policies: travelling.value.policies },
    mqtt: profile.mqtt,
    trust: profile.trust,
    caFile: files['broker-ca.pem'] === undefined ? '' : 'broker-ca.pem',
    hasPassword: options.hasPassword,
    policyFile: files['policies/site.yml'] === undefined ? '' : 'policies/site.yml',
  });
  if (!config.ok) return config;
  const checked = await checkDeviceConfig(
    config.value,
    { ...files, ...(keys === '' ? {} : { 'keys.json': keys }) },
    CONFIG_DIR,
    // Files that lie on the box already are taken on trust here; `install` looks at them.
    () => Promise.resolve(Buffer.from('{}')),
  );
  return checked.ok ? ok({ config: config.value, files, keys }) : checked;
};

/** The rules: those given, else one per endpoint of the configuration, else the site's. They must cover the endpoints. */
export const aclFor = (
  config: Json,
  site: SiteRecord | null,
  given: readonly string[],
): Result<readonly string[]> => {
  const endpoints = endpointUrls(config);
  const exact = endpoints.map(({ url }) => ruleFor(url)).filter((rule) => rule !== undefined);
  const rules = given.length > 0 ? given : exact.length > 0 ? exact : (site?.tag.acl ?? []);
  if (rules.length === 0)
    return bad(
      'The ACL would be empty, and let the token bind everything: give endpoints a url in --config, name a --site, or say --acl.',
    );
  const random = endpoints.find(({ url }) => url === '');
  if (random !== undefined)
    return bad(`The endpoint ${random.name} has no url: a random name cannot be allowed to one token alone.`);
  const outside = endpoints.find(({ url }) => !mayBind(rules, url));
  return outside === undefined
    ? ok(rules)
    : bad(`The ACL does not cover the endpoint ${outside.name} (${outside.url}).`);
};
