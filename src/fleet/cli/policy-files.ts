/** Policies and device configurations as files that a command line names. */
import { readFile } from 'node:fs/promises';
import { failed, fault, ok, type Result } from '../../core/errors.ts';
import { isRecord, parseStrictJson } from '../../protocol/strict-json.ts';
import type { ExposedEndpoint } from '../policy/lint-endpoints.ts';
import { type PolicyText, readPolicyText } from '../policy/policy-text.ts';

/** `BAD_ARGS` names a file that cannot be read. */
export const readText = async (file: string): Promise<Result<string>> => {
  try {
    return ok(await readFile(file, 'utf8'));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    return failed(fault('BAD_ARGS', `${file} cannot be read (${code}).`, false));
  }
};

/** A policy with the text that it was read from. */
export interface PolicyFile extends PolicyText {
  readonly text: string;
}

/** `BAD_ARGS` names the file and what is wrong in it. */
export const readPolicyFile = async (file: string): Promise<Result<PolicyFile>> => {
  const text = await readText(file);
  if (!text.ok) return text;
  const policy = readPolicyText(text.value);
  return policy.ok
    ? ok({ ...policy.value, text: text.value })
    : failed({ ...policy.fault, message: `${file}: ${policy.fault.message}` });
};

export interface DeviceFile {
  readonly endpoints: readonly ExposedEndpoint[];
  readonly listen: string;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Endpoints of a device's configuration, read loosely: `lockkeeperd --check` is the judge of the file. */
export const readDeviceFile = async (file: string): Promise<Result<DeviceFile>> => {
  const read = await readText(file);
  if (!read.ok) return read;
  const json = parseStrictJson(read.value.replace(/^\ufeff/, ''));
  if (!json.ok || !isRecord(json.value))
    return failed(fault('BAD_ARGS', `${file} is no JSON object.`, false));
  const { endpoints, upstreams, http } = json.value;
  const named = isRecord(upstreams) ? upstreams : {};
  const upstreamUrl = (name: string): string => {
    const upstream = named[name];
    return isRecord(upstream) ? text(upstream['url']) : name;
  };
  return ok({
    listen: isRecord(http) ? text(http['listen']) : '',
    endpoints: (Array.isArray(endpoints) ? endpoints : []).filter(isRecord).map((endpoint) => ({
      name: text(endpoint['name']),
      url: text(endpoint['url']),
      upstream: upstreamUrl(text(endpoint['upstream'])),
      policy: text(endpoint['policy']),
      binding: text(endpoint['binding']),
    })),
  });
};

/** Collects an option that may be repeated. */
export const list = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
