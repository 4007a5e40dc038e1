import type { Command } from 'commander';
import { EXIT, type Fault, failed, fault, ok, type Result } from '../../core/errors.ts';
import {
  createExposed,
  type Exposed,
  type ExposedTag,
  type ExposePorts,
  listExposed,
  removeExposed,
  sameUrl,
  updateExposed,
} from '../policy/expose.ts';
import { lintPolicy } from '../policy/lint.ts';
import { type PolicyText, readPolicyText } from '../policy/policy-text.ts';
import { forwards, policyText, withForward } from '../policy/preset.ts';
import { readReported } from '../read-device.ts';
import { diffLines } from '../text-diff.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import { deviceArgument, type FleetOptions, withFleetLink } from './fleet-options.ts';
import type { Output } from './output.ts';
import { list, readPolicyFile } from './policy-files.ts';
import { deskOf } from './with-fleet.ts';

/** The text for one endpoint: the policy as given, with the way to the device at its end. */
const textFor = (policy: PolicyText | null, target: string): string => {
  if (policy === null) return policyText(withForward({}, target));
  return policyText(forwards(policy) ? policy.document : withForward(policy.document, target));
};

/** Errors of the lint stop; warnings are said. */
const mayApply = (out: Output, written: string, target: string | null, nowMs: number): Result<void> => {
  const policy = readPolicyText(written);
  if (!policy.ok) return policy;
  const internalUrls = target === null ? null : [target];
  const findings = lintPolicy(policy.value, { nowMs, internalUrls, isCloud: true });
  for (const { severity, code, at, message } of findings) out.note(`${severity} ${code} ${at}: ${message}`);
  const bad = findings.find(({ severity }) => severity === 'error');
  return bad === undefined ? ok(undefined) : failed(fault('BAD_ARGS', `${bad.at}: ${bad.message}`, false));
};

interface Change {
  readonly url: string;
  readonly device: string | null;
  readonly what: 'create' | 'update' | 'keep' | 'delete';
  readonly id: string | null;
  readonly diff: readonly string[];
}

const showChange = (out: Output, change: Change): void => {
  out.line(`${change.what} ${change.url}${change.device === null ? '' : ` (${change.device})`}`);
  for (const line of change.diff) if (!line.startsWith(' ')) out.line(`  ${line}`);
};

const printChanges = (out: Output, changes: readonly Change[], isDryRun: boolean): number => {
  out.json({ v: 1, dryRun: isDryRun, changes });
  if (isDryRun) out.line('nothing was changed');
  return EXIT.ok;
};

interface ExposeOptions extends FleetOptions, ApiOptions {
  readonly url: string;
  readonly policy?: string;
  readonly target?: string;
  readonly dryRun?: boolean;
  readonly remove?: boolean;
  readonly takeOver?: boolean;
}

const wrongTarget = (message: string): Result<string> => failed(fault('BAD_ARGS', message, false));

/** The internal URL that the device reports for the endpoint. */
const findTarget = async (
  _cli: Cli,
  out: Output,
  profile: Parameters<typeof withFleetLink>[0],
  device: string,
  endpoint: string,
): Promise<Result<string>> => {
  let found: Result<string> = wrongTarget(`${device} has not reported.`);
  const code = await withFleetLink(
    profile,
    {
      ...out,
      fail: (f: Fault) => {
        found = failed(f);
        return EXIT.failed;
      },
    },
    15,
    async (link) => {
      const reported = await readReported(link, device);
      const url = reported?.endpoints.find(({ name }) => name === endpoint)?.url;
      if (reported !== null)
        found =
          url === undefined
            ? wrongTarget(`${device} reports no URL for ${endpoint}: start it once, or give --target.`)
            : /\.internal(:\d+)?$/.test(url)
              ? ok(url)
              : wrongTarget(
                  `${url} is public already: an endpoint behind a cloud endpoint has a name under .internal.`,
                );
      return EXIT.ok;
    },
  );
  return code === EXIT.ok || !found.ok ? found : wrongTarget('The broker was lost.');
};

const expose = async (
  cli: Cli,
  device: string,
  endpoint: string,
  options: ExposeOptions,
): Promise<number> => {
  const out = cli.output(options);
  const policy = options.policy === undefined ? null : await readPolicyFile(options.policy);
  if (policy?.ok === false) return out.fail(policy.fault);
  const desk = await deskOf(cli, out, options);
  if (!desk.ok) return out.fail(desk.fault);
  const { api, audit, tenant, profile } = desk.value;
  const ports: ExposePorts = { api, audit };
  const all = await listExposed(api);
  if (!all.ok) return out.fail(all.fault);
  const held = all.value.find(({ url }) => sameUrl(url, options.url));
  const isOurs = held?.tag?.tenant === tenant && held.tag.device === device && held.tag.endpoint === endpoint;
  if (held !== undefined && !isOurs && options.takeOver !== true)
    return out.fail(
      fault(
        'BAD_ARGS',
        `${held.url} is there already and not for ${device} ${endpoint}: --take-over makes it so.`,
        false,
      ),
    );
  const isDryRun = options.dryRun === true;
  if (options.remove === true) {
    if (held === undefined) return printChanges(out, [], isDryRun);
    const change: Change = {
      url: held.url,
      device,
      what: 'delete',
      id: held.id,
      diff: diffLines(held.policy, ''),
    };
    showChange(out, change);
    const gone = isDryRun ? null : await removeExposed(ports, held);
    return gone?.ok === false ? out.fail(gone.fault) : printChanges(out, [change], isDryRun);
  }
  const target =
    options.target === undefined ? await findTarget(cli, out, profile, device, endpoint) : ok(options.target);
  if (!target.ok) return out.fail(target.fault);
  const written = textFor(policy?.value ?? null, target.value);
  const may = mayApply(out, written, target.value, cli.clock.wall());
  if (!may.ok) return out.fail(may.fault);
  const tag: ExposedTag = { tenant, device, endpoint, target: target.value };
  const isSame = held !== undefined && isOurs && held.policy === written && held.tag?.target === target.value;
  const what = held === undefined ? 'create' : isSame ? 'keep' : 'update';
  const diff = what === 'keep' ? [] : diffLines(held?.policy ?? '', written);
  let id = held?.id ?? null;
  showChange(out, { url: options.url, device, what, id, diff });
  if (!isDryRun && what === 'create') {
    const made = await createExposed(ports, options.url, written, tag);
    if (!made.ok) return out.fail(made.fault);
    id = made.value;
  }
  if (!isDryRun && what === 'update' && held !== undefined) {
    const done = await updateExposed(ports, held.id, written, tag);
    if (!done.ok) return out.fail(done.fault);
  }
  return printChanges(out, [{ url: options.url, device, what, id, diff }], isDryRun);
};

interface ApplyOptions extends FleetOptions, ApiOptions {
  readonly device: readonly string[];
  readonly url: readonly string[];
  readonly fleet?: boolean;
  readonly dryRun?: boolean;
}

const selected = (all: readonly Exposed[], tenant: string, options: ApplyOptions): readonly Exposed[] =>
  all.filter(({ tag, url }) => {
    if (options.url.some((wanted) => sameUrl(wanted, url))) return true;
    if (tag?.tenant !== tenant) return false;
    return options.fleet === true || options.device.includes(tag.device);
  });

const apply = async (cli: Cli, file: string, options: ApplyOptions): Promise<number> => {
  const out = cli.output(options);
  if (options.fleet !== true && options.device.length === 0 && options.url.length === 0)
    return out.fail(fault('BAD_ARGS', 'Say where: --device, --url or --fleet.', false));
  const policy = await readPolicyFile(file);
  if (!policy.ok) return out.fail(policy.fault);
  const desk = await deskOf(cli, out, options);
  if (!desk.ok) return out.fail(desk.fault);
  const { api, audit, tenant } = desk.value;
  const all = await listExposed(api);
  if (!all.ok) return out.fail(all.fault);
  const chosen = selected(all.value, tenant, options);
  if (chosen.length === 0) return out.fail(fault('BAD_ARGS', 'No cloud endpoint fits.', false));
  const changes: { readonly change: Change; readonly written: string; readonly to: Exposed }[] = [];
  for (const to of chosen) {
    const target = to.tag?.target ?? null;
    const written = target === null ? policyText(policy.value.document) : textFor(policy.value, target);
    const may = mayApply(out, written, target, cli.clock.wall());
    if (!may.ok) return out.fail({ ...may.fault, message: `${to.url}: ${may.fault.message}` });
    const isSame = to.policy === written;
    const change: Change = {
      url: to.url,
      device: to.tag?.device ?? null,
      what: isSame ? 'keep' : 'update',
      id: to.id,
      diff: isSame ? [] : diffLines(to.policy, written),
    };
    showChange(out, change);
    changes.push({ change, written, to });
  }
  // The first that fails ends it: a policy that one endpoint refuses will hardly suit the next.
  if (options.dryRun !== true)
    for (const { change, written, to } of changes) {
      if (change.what === 'keep') continue;
      const done = await updateExposed({ api, audit }, to.id, written, to.tag);
      if (!done.ok) return out.fail(done.fault);
    }
  return printChanges(
    out,
    changes.map(({ change }) => change),
    options.dryRun === true,
  );
};

const withDesk = (command: Command): Command =>
  withApiOptions(
    command
      .option('--json', 'print JSON')
      .option('--profile <file>', 'profile')
      .option('--broker <url>', "the broker, instead of the profile's")
      .option('--tenant <name>', "the tenant, instead of the profile's")
      .option('--dry-run', 'show what would change, and change nothing'),
  );

export const addExposeCommands = (program: Command, policy: Command, cli: Cli): void => {
  withDesk(
    policy
      .command('apply')
      .description('give cloud endpoints another policy, with a diff; where each forwards to stays')
      .argument('<file>', 'JSON or YAML')
      .option('--device <id>', 'cloud endpoints of this device; may be repeated', list, [])
      .option('--url <url>', 'this cloud endpoint; may be repeated', list, [])
      .option('--fleet', 'all that expose made'),
  ).action(cli.action((file: string, options: ApplyOptions) => apply(cli, file, options)));
  withDesk(
    program
      .command('expose')
      .description('a cloud endpoint, always there, in front of an internal endpoint of a device')
      .argument('<device>', 'device id', deviceArgument)
      .argument('<endpoint>', "the endpoint's name on the device")
      .requiredOption('--url <url>', 'public URL of the cloud endpoint')
      .option('--policy <file>', 'what guards it; the way to the device is added at its end')
      .option('--target <url>', 'internal URL of the endpoint (default: what the device reports)')
      .option('--take-over', 'also when the cloud endpoint was made for something else')
      .option('--remove', 'take the cloud endpoint away'),
  ).action(
    cli.action((device: string, endpoint: string, options: ExposeOptions) =>
      expose(cli, device, endpoint, options),
    ),
  );
};
