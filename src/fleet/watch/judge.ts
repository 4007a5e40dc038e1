/** What is wrong with a device, as coded conditions. Absence means healthy. Pure. */
import type { DeviceFacts, PoolFact, SessionFact } from './facts.ts';
import type { DeviceSeen } from './seen.ts';

/** Codes that the fleet's side adds to those that devices report themselves. */
export type FleetConditionCode =
  | 'OFFLINE'
  | 'SILENT'
  | 'SESSION_DOWN'
  | 'TOKEN_REFUSED'
  | 'NOT_APPLIED'
  | 'ENDPOINT_DOWN'
  | 'LOCKED'
  | 'UNSIGNED'
  | 'NEVER_SEEN'
  | 'NO_CREDENTIAL'
  | 'NO_SESSION'
  | 'CREDENTIALS_LEFT'
  | 'GENERATION_BEHIND'
  | 'TOKEN_UNRESTRICTED'
  | 'TOKEN_SHARED'
  | 'TOKEN_OLD'
  | 'STRAY_SESSION'
  | 'STRAY_POOL_MEMBER';

export interface FleetCondition {
  /** One of ours, or the code of a condition that the device reports. */
  readonly code: FleetConditionCode | (string & {});
  readonly severity: 'info' | 'warning' | 'error';
  readonly message: string;
  /** True for what means that a device is on line and does not do its work. */
  readonly isStuck?: true;
  readonly endpoint?: string;
}

export interface WatchSettings {
  readonly nowMs: number;
  /** When the reader began to listen, epoch milliseconds; null when it only took what is stored. */
  readonly listeningSinceMs: number | null;
  /** Seconds between two health messages of devices that have not shown theirs. */
  readonly healthS: number;
  /** A device that goes off line may be back so soon, milliseconds. */
  readonly offlineAfterMs: number;
  /** How long a session may be down, and a document not applied, before the device counts as stuck, milliseconds. */
  readonly stuckAfterMs: number;
  /** Two sessions side by side are a swap for so long, milliseconds. */
  readonly swapMs: number;
  readonly maxTokenAgeS: number;
  /** URLs that more than one session serves. */
  readonly pools?: readonly PoolFact[];
}

export const DEFAULT_WATCH: Omit<WatchSettings, 'nowMs' | 'listeningSinceMs'> = {
  healthS: 300,
  offlineAfterMs: 30_000,
  stuckAfterMs: 120_000,
  swapMs: 300_000,
  maxTokenAgeS: 90 * 86_400,
};

/** A device may miss two health messages; they are not repeated. */
const SILENT_INTERVALS = 3;

type Make = (
  code: FleetConditionCode,
  severity: FleetCondition['severity'],
  message: string,
) => FleetCondition;
const make: Make = (code, severity, message) => ({ code, severity, message });
const stuck: Make = (code, severity, message) => ({ code, severity, message, isStuck: true });

const span = (seconds: number): string => {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
};

/** Messages that were on their way when the connection ended may come in this time after its will. */
const ON_THE_WAY_MS = 5000;

/** On line by its presence, or by a message well after the broker told of its end: then the will was a late one. */
const isOnline = ({ presence, heardMs, presenceAtMs }: DeviceSeen): boolean =>
  presence?.online === true ||
  (heardMs !== null && presenceAtMs !== null && heardMs > presenceAtMs + ON_THE_WAY_MS);

const WHY: Readonly<Record<string, string>> = {
  lost: 'its connection to the broker was lost',
  shutdown: 'it was shut down',
  restart: 'it restarts',
};

const offline = (seen: DeviceSeen, s: WatchSettings): readonly FleetCondition[] => {
  if (seen.presence === undefined || isOnline(seen)) return [];
  const { presenceAtMs } = seen;
  if (presenceAtMs !== null && s.nowMs - presenceAtMs < s.offlineAfterMs) return [];
  const since = presenceAtMs === null ? '' : ` for ${span((s.nowMs - presenceAtMs) / 1000)}`;
  return [make('OFFLINE', 'error', `Off line${since}: ${WHY[seen.presence.why ?? 'lost'] ?? 'gone'}.`)];
};

const silent = (seen: DeviceSeen, s: WatchSettings): readonly FleetCondition[] => {
  if (s.listeningSinceMs === null) return [];
  const from = Math.max(seen.heardMs ?? 0, seen.health?.atMs ?? 0, s.listeningSinceMs);
  const limitS = SILENT_INTERVALS * (seen.healthS ?? s.healthS);
  const quietS = (s.nowMs - from) / 1000;
  return quietS > limitS
    ? [stuck('SILENT', 'error', `On line, and has not been heard for ${span(quietS)}.`)]
    : [];
};

const session = (seen: DeviceSeen, s: WatchSettings): readonly FleetCondition[] => {
  const { reported } = seen;
  if (reported === undefined || reported.locked === true) return [];
  const { state, since, err } = reported.session;
  const code = err === undefined ? '' : ` (${err})`;
  if (state === 'auth-failed' || reported.cred.state === 'refused' || reported.cred.state === 'revoked')
    return [stuck('TOKEN_REFUSED', 'error', `ngrok refuses its authtoken${code}.`)];
  if (reported.cred.state === 'missing') return [stuck('TOKEN_REFUSED', 'error', 'It has no authtoken.')];
  if (state === 'up' || state === 'stopped') return [];
  const downMs = s.nowMs - (since ?? reported.ts) * 1000;
  return downMs > s.stuckAfterMs
    ? [stuck('SESSION_DOWN', 'error', `No session to ngrok for ${span(downMs / 1000)}${code}.`)]
    : [];
};

const work = (seen: DeviceSeen, s: WatchSettings): readonly FleetCondition[] => {
  const { reported, hello } = seen;
  const found: FleetCondition[] = [];
  if (reported !== undefined) {
    const { rev, applied, ts, bad, locked, endpoints } = reported;
    if (locked === true) found.push(make('LOCKED', 'info', 'Locked on the device itself.'));
    const isBehind = applied !== undefined && applied < rev && s.nowMs - ts * 1000 > s.stuckAfterMs;
    if (isBehind && locked !== true)
      found.push(make('NOT_APPLIED', 'warning', `Revision ${rev} of its document is not carried out.`));
    if (bad !== undefined)
      found.push(make('NOT_APPLIED', 'warning', `Its document is not taken: ${bad.code}.`));
    for (const { name, state, code } of endpoints)
      if (state === 'failed' || state === 'denied')
        found.push({
          ...make('ENDPOINT_DOWN', 'warning', `${name} is ${state}${code === undefined ? '' : `: ${code}`}.`),
          endpoint: name,
        });
    for (const { code, severity, msg, ep } of reported.conditions ?? [])
      found.push({ code, severity, message: msg ?? code, ...(ep === undefined ? {} : { endpoint: ep }) });
  }
  if (hello?.trust === 'broker')
    found.push(make('UNSIGNED', 'warning', 'It takes commands without signature.'));
  return found;
};

const isSettled = (sessions: readonly SessionFact[], s: WatchSettings): boolean =>
  sessions.every(({ startedAt }) => s.nowMs - Date.parse(startedAt) > s.swapMs);

const credentials = (
  seen: DeviceSeen | undefined,
  facts: DeviceFacts,
  s: WatchSettings,
): readonly FleetCondition[] => {
  const found: FleetCondition[] = [];
  const [newest] = facts.credentials;
  if (newest === undefined) {
    found.push(make('NO_CREDENTIAL', 'info', 'ngrok has no credential that names it.'));
    return found;
  }
  const open = facts.credentials.filter((one) => one.isUnrestricted);
  if (open.length > 0)
    found.push(
      make(
        'TOKEN_UNRESTRICTED',
        'error',
        `${open.map(({ id }) => id).join(', ')} may bind everything in the account.`,
      ),
    );
  const ages = facts.credentials.map(({ createdAt }) => (s.nowMs - Date.parse(createdAt)) / 1000);
  const oldest = Math.max(...ages.filter((age) => !Number.isNaN(age)));
  if (oldest > s.maxTokenAgeS)
    found.push(make('TOKEN_OLD', 'warning', `Its authtoken is ${span(oldest)} old: rotate it.`));
  const isSwapping = ages.some((age) => age * 1000 <= s.swapMs);
  if (facts.credentials.length > 1 && !isSwapping)
    found.push(
      make(
        'CREDENTIALS_LEFT',
        'warning',
        `${facts.credentials.length} credentials are valid: rotate --resume ends with one.`,
      ),
    );
  const gens = facts.credentials.flatMap(({ gen }) => (gen === null ? [] : [gen]));
  const held = seen?.reported?.cred.gen;
  if (held !== undefined && gens.length > 0 && !gens.includes(held) && !isSwapping)
    found.push(
      make('GENERATION_BEHIND', 'warning', `It reports generation ${held}; ngrok has ${gens.join(' and ')}.`),
    );
  return found;
};

const sessionsAtNgrok = (
  seen: DeviceSeen | undefined,
  facts: DeviceFacts,
  s: WatchSettings,
): readonly FleetCondition[] => {
  const found: FleetCondition[] = [];
  const own = new Set(facts.credentials.map(({ id }) => id));
  for (const one of facts.sessions) {
    if (!own.has(one.credential))
      found.push(
        make(
          'STRAY_SESSION',
          'error',
          `${one.id} from ${one.ip} calls itself by its name and uses ${one.credential}, which is not its own.`,
        ),
      );
  }
  const byCredential = Map.groupBy(facts.sessions, ({ credential }) => credential);
  for (const [id, users] of byCredential) {
    const names = new Set(users.map(({ says }) => says).filter((name) => name !== null));
    if (own.has(id) && (names.size > 1 || (users.length > 1 && isSettled(users, s))))
      found.push(
        make(
          'TOKEN_SHARED',
          'error',
          `${users.length} sessions use ${id}: ${users.map(({ ip, says }) => `${says ?? 'unnamed'} from ${ip}`).join(', ')}.`,
        ),
      );
  }
  const reported = seen?.reported;
  const since = reported?.session.since ?? reported?.ts ?? 0;
  const isLong = s.nowMs - since * 1000 > s.stuckAfterMs;
  if (
    seen !== undefined &&
    isOnline(seen) &&
    reported?.session.state === 'up' &&
    facts.sessions.length === 0 &&
    isLong
  )
    found.push(stuck('NO_SESSION', 'error', 'It reports a session, and ngrok has none.'));
  return found;
};

const pools = (facts: DeviceFacts, s: WatchSettings): readonly FleetCondition[] => {
  const own = new Map(facts.sessions.map((one) => [one.id, one]));
  return (s.pools ?? []).flatMap(({ url, sessions, devices }) => {
    const mine = sessions.flatMap((id) => own.get(id) ?? []);
    if (mine.length === 0) return [];
    const isOnlyMine = mine.length === sessions.length;
    // Two sessions of one device are a swap for a while.
    if (isOnlyMine && !isSettled(mine, s)) return [];
    const others = devices.length > 1 ? devices.join(', ') : `${sessions.length} sessions`;
    return [
      make('STRAY_POOL_MEMBER', 'warning', `${url} is served by ${others}: visitors are split among them.`),
    ];
  });
};

/** All conditions of a device. `facts` is null when the API was not asked. */
export const judgeDevice = (
  seen: DeviceSeen | undefined,
  facts: DeviceFacts | null,
  settings: WatchSettings,
): readonly FleetCondition[] => {
  const found: FleetCondition[] = [];
  if (seen?.presence === undefined && seen?.reported === undefined)
    found.push(make('NEVER_SEEN', 'warning', 'It has never shown itself over MQTT.'));
  if (seen !== undefined) {
    const gone = offline(seen, settings);
    found.push(...gone);
    if (isOnline(seen)) found.push(...silent(seen, settings), ...session(seen, settings));
    found.push(...work(seen, settings));
  }
  if (facts !== null)
    found.push(
      ...credentials(seen, facts, settings),
      ...sessionsAtNgrok(seen, facts, settings),
      ...pools(facts, settings),
    );
  return found;
};
