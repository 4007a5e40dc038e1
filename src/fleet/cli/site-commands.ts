/** `site`: a customer's or plant's place at ngrok: domain, service user, default ACL and policy. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { readTextFile } from '../../config/text-file.ts';
import { sleep } from '../../core/clock.ts';
import { EXIT, failed, fault, type Result } from '../../core/errors.ts';
import { revokeDevice } from '../revoke.ts';
import { openRevokeNote } from '../revoke-note.ts';
import { applyChanges, devicesOf, readSiteState } from '../site/site-apply.ts';
import { planDeletion, planSite, type SitePlan } from '../site/site-plan.ts';
import { certificateOf } from '../site/site-readiness.ts';
import { findSite, listSites } from '../site/site-record.ts';
import { checkPolicy, readSiteFile, type SiteSpec, siteSpec } from '../site/site-spec.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import { durationOption, type FleetOptions } from './fleet-options.ts';
import type { Output } from './output.ts';
import { changeLines, isReady, printPlan, readinessOf, siteJson, siteLines } from './site-display.ts';
import { type Desk, deskOf } from './with-fleet.ts';

interface SiteOptions extends FleetOptions, ApiOptions {
  readonly domain?: string;
  readonly region?: string;
  readonly user?: boolean;
  readonly acl?: readonly string[];
  readonly policyFile?: string;
  readonly wait?: number;
  readonly resolver?: string;
  readonly dns?: boolean;
  readonly prune?: boolean;
  readonly force?: boolean;
}

const MAX_POLICY_BYTES = 65_536;
const WAIT_STEP_MS = 10_000;
const REVOKE_MS = 60_000;

const bad = (message: string) => failed(fault('BAD_ARGS', message, false));

/** Shows a site; with `--wait` until it is ready. 75 when it is not in time. */
const show = async (
  cli: Cli,
  out: Output,
  desk: Desk,
  name: string,
  options: SiteOptions,
  more: object = {},
): Promise<number> => {
  const untilMs = cli.clock.now() + (options.wait ?? 0) * 1000;
  for (;;) {
    const site = await findSite(desk.api, desk.tenant, name);
    if (!site.ok) return out.fail(site.fault);
    const readiness = await readinessOf(site.value, options);
    const isOver = options.wait === undefined || isReady(readiness) || cli.clock.now() >= untilMs;
    if (isOver) {
      out.json({ v: 1, ...siteJson(site.value, readiness), ...more });
      for (const line of siteLines(site.value, readiness)) out.line(line);
      return options.wait === undefined || isReady(readiness) ? EXIT.ok : EXIT.timeout;
    }
    out.progress(`waiting for DNS and certificate of ${site.value.domain.domain}`);
    await sleep(cli.clock, Math.min(WAIT_STEP_MS, Math.max(0, untilMs - cli.clock.now())));
  }
};

const specFromWords = async (name: string, options: SiteOptions): Promise<Result<SiteSpec>> => {
  if (options.domain === undefined) return bad("Which domain: --domain '*.NAME'.");
  let policy = '';
  if (options.policyFile !== undefined) {
    const file = await readTextFile(readFile, options.policyFile, MAX_POLICY_BYTES);
    if (!file.ok) return bad(`${file.problem}.`);
    const checked = checkPolicy(options.policyFile, file.text);
    if (!checked.ok) return checked;
    policy = checked.value;
  }
  return siteSpec({
    site: name,
    domain: options.domain,
    policy,
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.acl === undefined ? {} : { acl: options.acl }),
  });
};

const planFor = async (desk: Desk, spec: SiteSpec, isPruning: boolean): Promise<Result<SitePlan>> => {
  const state = await readSiteState(desk.api, desk.tenant, spec.site, spec);
  return state.ok ? planSite(spec, desk.tenant, state.value, isPruning) : state;
};

const carryOut = async (out: Output, desk: Desk, spec: SiteSpec, plan: SitePlan): Promise<Result<void>> => {
  printPlan(out, plan);
  const { api, audit, tenant } = desk;
  return applyChanges({ api, audit, tenant }, spec, plan.changes);
};

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const withSiteOptions = (command: Command): Command =>
  withApiOptions(command)
    .option('--json', 'print JSON')
    .option('--profile <file>', 'profile')
    .option('--tenant <name>', "the tenant, instead of the profile's");

const withReadiness = (command: Command): Command =>
  command
    .option('--wait <duration>', 'wait until DNS and certificate are right', durationOption)
    .option('--resolver <address>', "DNS server to ask (default: the system's), 127.0.0.1:53")
    .option('--no-dns', 'do not ask the DNS');

export const addSiteCommands = (program: Command, cli: Cli): void => {
  const site = program
    .command('site')
    .description('sites at ngrok: domain, service user, default ACL and policy');

  const withDesk = async (
    options: SiteOptions,
    work: (out: Output, desk: Desk) => Promise<number>,
  ): Promise<number> => {
    const out = cli.output(options);
    const desk = await deskOf(cli, out, options);
    return desk.ok ? work(out, desk.value) : out.fail(desk.fault);
  };

  withReadiness(
    withSiteOptions(
      site.command('create').description('make a site, or bring it to what is said here').argument('<name>'),
    ),
  )
    .option('--domain <domain>', 'its wildcard domain: *.site-a.example.com')
    .option('--region <region>', 'where the domain resolves to')
    .option('--no-user', 'without a service user of its own')
    .option(
      '--acl <rule>',
      'default ACL of its devices; may be repeated (default: names under the domain)',
      collect,
    )
    .option('--policy-file <file>', "traffic policy for its devices' endpoints that name none")
    .action(
      cli.action((name: string, options: SiteOptions) =>
        withDesk(options, async (out, desk) => {
          const spec = await specFromWords(name, options);
          if (!spec.ok) return out.fail(spec.fault);
          const plan = await planFor(desk, spec.value, false);
          if (!plan.ok) return out.fail(plan.fault);
          const done = await carryOut(out, desk, spec.value, plan.value);
          if (!done.ok) return out.fail(done.fault);
          return show(cli, out, desk, name, options, { changes: plan.value.changes.length });
        }),
      ),
    );

  withReadiness(
    withSiteOptions(site.command('show').description('show a site, or all').argument('[name]')),
  ).action(
    cli.action((name: string | undefined, options: SiteOptions) =>
      withDesk(options, async (out, desk) => {
        if (name !== undefined) return show(cli, out, desk, name, options);
        const sites = await listSites(desk.api, desk.tenant);
        if (!sites.ok) return out.fail(sites.fault);
        out.json({ v: 1, sites: sites.value.map((one) => siteJson(one, null)) });
        for (const { tag, domain } of sites.value)
          out.line(`${tag.site}  ${domain.domain}  certificate ${certificateOf(domain).state}`);
        if (sites.value.length === 0) out.line('no sites');
        return EXIT.ok;
      }),
    ),
  );

  withSiteOptions(
    site
      .command('plan')
      .description('show what apply would change')
      .argument('<file>', 'site file, YAML or JSON'),
  )
    .option('--prune', "also delete what is the site's and not in the file")
    .action(
      cli.action((path: string, options: SiteOptions) =>
        withDesk(options, async (out, desk) => {
          const spec = await readSiteFile(path);
          if (!spec.ok) return out.fail(spec.fault);
          const plan = await planFor(desk, spec.value, options.prune === true);
          if (!plan.ok) return out.fail(plan.fault);
          out.json({ v: 1, site: spec.value.site, ...plan.value });
          printPlan(out, plan.value);
          return EXIT.ok;
        }),
      ),
    );

  withSiteOptions(
    site
      .command('apply')
      .description('bring a site to what a file says')
      .argument('<file>', 'site file, YAML or JSON'),
  )
    .option('--prune', "also delete what is the site's and not in the file")
    .action(
      cli.action((path: string, options: SiteOptions) =>
        withDesk(options, async (out, desk) => {
          const spec = await readSiteFile(path);
          if (!spec.ok) return out.fail(spec.fault);
          const plan = await planFor(desk, spec.value, options.prune === true);
          if (!plan.ok) return out.fail(plan.fault);
          const done = await carryOut(out, desk, spec.value, plan.value);
          if (!done.ok) return out.fail(done.fault);
          out.json({ v: 1, site: spec.value.site, ...plan.value });
          return EXIT.ok;
        }),
      ),
    );

  withSiteOptions(
    site.command('delete').description('delete a site and all that is its own').argument('<name>'),
  )
    .option('--devices-dir <dir>', 'folder with the records of the devices')
    .option('--force', 'revoke its devices first')
    .action(
      cli.action((name: string, options: SiteOptions) =>
        withDesk(options, async (out, desk) => {
          const { api, audit, tenant, profile } = desk;
          const devices = await devicesOf(api, tenant, name);
          if (!devices.ok) return out.fail(devices.fault);
          if (devices.value.length > 0 && options.force !== true)
            return out.fail(
              fault(
                'BAD_ARGS',
                `${devices.value.length} device(s) of ${name} have credentials (${devices.value.slice(0, 5).join(' ')}): revoke them, or say --force.`,
                false,
              ),
            );
          const state = await readSiteState(api, tenant, name, null);
          if (!state.ok) return out.fail(state.fault);
          const changes = planDeletion(state.value);
          if (state.value.domains.length === 0)
            return out.fail(fault('BAD_ARGS', `There is no site ${name.slice(0, 63)}.`, false));
          for (const device of devices.value) {
            const revoked = await revokeDevice(
              { api, audit, clock: cli.clock, unfinished: openRevokeNote(profile.devicesDir) },
              { tenant, device, deadlineMs: REVOKE_MS, user: 'delete' },
            );
            if (!revoked.ok) return out.fail(revoked.fault);
            const { kept, sessions } = revoked.value;
            if (kept.length > 0 || sessions.remaining.length > 0)
              return out.fail(
                fault(
                  'SESSIONS_REMAIN',
                  `${device} is not revoked to the end; lockkeeper revoke ${device} says what stays.`,
                  true,
                ),
              );
            out.line(`revoked ${device}`);
          }
          const done = await applyChanges({ api, audit, tenant }, null, changes);
          if (!done.ok) return out.fail(done.fault);
          out.json({ v: 1, site: name, devices: devices.value, changes });
          for (const change of changes) for (const line of changeLines(change)) out.line(line);
          return EXIT.ok;
        }),
      ),
    );
};
