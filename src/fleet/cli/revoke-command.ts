/** `revoke`: takes a device's access away at once, and says what is left. */
import { type Command, Option } from 'commander';
import { EXIT } from '../../core/errors.ts';
import type { TunnelSession } from '../api/index.ts';
import { type Revoked, revokeDevice } from '../revoke.ts';
import { openRevokeNote } from '../revoke-note.ts';
import { type ApiOptions, withApiOptions } from './api-options.ts';
import type { Cli } from './cli.ts';
import { deviceArgument, durationOption, type FleetOptions } from './fleet-options.ts';
import type { Output } from './output.ts';
import { deskOf } from './with-fleet.ts';

interface RevokeCliOptions extends FleetOptions, ApiOptions {
  readonly user: 'keep' | 'disable' | 'delete';
}

const DEFAULT_TIMEOUT_S = 60;

const sessionJson = ({ id, credential, ip, metadata, agent_version, started_at }: TunnelSession) => ({
  id,
  credential: credential.id,
  ip,
  metadata,
  agentVersion: agent_version,
  startedAt: started_at,
});

const FURTHER = [
  'ngrok has no way to cut a session that its agent does not end. To take its reach away:',
  '  an IP restriction of type agent for its address; its cloud endpoint or forward rule;',
  '  the reserved domain, or the names under it, that it serves.',
];

const print = (out: Output, device: string, revoked: Revoked): number => {
  const { deleted, kept, sessions, others, user } = revoked;
  const isDone = kept.length === 0 && sessions.remaining.length === 0;
  out.json({
    v: 1,
    device,
    done: isDone,
    deleted,
    kept,
    sessions: {
      seen: sessions.seen,
      remaining: sessions.remaining.map((session) => ({
        ...sessionJson(session),
        stop: sessions.stops[session.id] ?? 'not told',
      })),
    },
    otherSessions: others.map(sessionJson),
    user,
  });
  for (const id of deleted) out.line(`deleted ${id}`);
  if (user === 'disabled' || user === 'deleted') out.line(`its service user is ${user}`);
  for (const { id, fault } of kept) out.note(`${id} is still valid: ${fault.message}`);
  for (const { id, ip } of sessions.remaining)
    out.note(`session ${id} from ${ip} is still online (${sessions.stops[id] ?? 'not told to stop'})`);
  for (const { id, credential } of others)
    out.note(
      `session ${id} calls itself ${device} and uses ${credential.id}, which is not one of its credentials`,
    );
  if (sessions.remaining.length > 0) for (const line of FURTHER) out.note(line);
  if (isDone)
    out.line(
      `${device} is revoked: ${sessions.seen === 0 ? 'no session was online' : `${sessions.seen} session(s) ended, none is left`}`,
    );
  return isDone ? EXIT.ok : EXIT.failed;
};

export const addRevokeCommand = (program: Command, cli: Cli): void => {
  withApiOptions(
    program
      .command('revoke')
      .description("delete a device's credentials and end its sessions; other devices are not touched")
      .argument('<device>', 'device id', deviceArgument)
      .option('--json', 'print JSON')
      .option('--profile <file>', 'profile')
      .option('--tenant <name>', "the tenant, instead of the profile's")
      .option('--devices-dir <dir>', 'folder with the records of the devices')
      .option(
        '--timeout <duration>',
        `how long sessions may take to end (default ${DEFAULT_TIMEOUT_S}s)`,
        durationOption,
      ),
  )
    .addOption(
      new Option('--user <what>', "what becomes of the device's own service user")
        .choices(['keep', 'disable', 'delete'])
        .default('keep'),
    )
    .action(
      cli.action(async (device: string, options: RevokeCliOptions) => {
        const out = cli.output(options);
        const desk = await deskOf(cli, out, options);
        if (!desk.ok) return out.fail(desk.fault);
        const { api, audit, tenant, profile } = desk.value;
        const revoked = await revokeDevice(
          { api, audit, clock: cli.clock, unfinished: openRevokeNote(profile.devicesDir) },
          {
            tenant,
            device,
            deadlineMs: (options.timeout ?? DEFAULT_TIMEOUT_S) * 1000,
            user: options.user,
          },
        );
        return revoked.ok ? print(out, device, revoked.value) : out.fail(revoked.fault);
      }),
    );
};
