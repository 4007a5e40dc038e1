/** Health in four parts: the session to the edge, the path through it, the upstreams behind it, the machine below. Pure. */
import type { StatusDocument } from '../daemon/status.ts';
import type { MachineState } from './machine.ts';

export type Level = 'ok' | 'warning' | 'error';

export interface HealthPart {
  readonly level: Level;
  readonly text: string;
}

export interface HealthReport {
  readonly level: Level;
  readonly session: HealthPart &
    Pick<StatusDocument['session'], 'state' | 'since' | 'latencyMs' | 'reconnects'>;
  readonly path: HealthPart & {
    readonly endpoints: readonly {
      readonly name: string;
      readonly bound: boolean;
      readonly lastActiveAt: string | null;
      /** What the last visit through the public URL gave; null where none is made. */
      readonly probe: ProbeSeen | null;
    }[];
  };
  readonly upstream: HealthPart & {
    readonly endpoints: readonly {
      readonly name: string;
      readonly upstream: string;
      readonly state: 'up' | 'down' | 'unknown';
    }[];
  };
  readonly machine: HealthPart & MachineState;
}

/** One visit through the public URL. */
export interface ProbeSeen {
  readonly ok: boolean;
  readonly at: string;
  readonly tookMs: number;
  /** HTTP status; null without an answer. */
  readonly status: number | null;
}

export interface ReportInputs {
  readonly status: StatusDocument;
  readonly machine: MachineState;
  /** What the last check of each endpoint's upstream found. */
  readonly upstreams: ReadonlyMap<string, 'up' | 'down'>;
  readonly probes: ReadonlyMap<string, ProbeSeen>;
}

/** From here on the machine has no room left for what it is to do. */
const FULL = 0.9;
const VERY_FULL = 0.97;
const HOT_C = 80;
const OVERLOADED = 4;

const worst = (levels: readonly Level[]): Level =>
  levels.includes('error') ? 'error' : levels.includes('warning') ? 'warning' : 'ok';

const sessionJudged = ({ session }: StatusDocument): HealthPart => {
  if (session.state === 'connected') return { level: 'ok', text: "A session to ngrok's edge stands." };
  if (session.state === 'stopped') return { level: 'ok', text: 'No session is needed now.' };
  const why = session.lastError?.message;
  return session.state === 'auth-failed'
    ? { level: 'error', text: why ?? 'There is no authtoken that the edge takes.' }
    : { level: 'error', text: why ?? "No session to ngrok's edge; trying again." };
};

const sessionPart = (status: StatusDocument): HealthReport['session'] => {
  const { state, since, latencyMs, reconnects } = status.session;
  return { ...sessionJudged(status), state, since, latencyMs, reconnects };
};

const isWanted = (state: string): boolean => state !== 'down';

const pathPart = ({ status, probes }: ReportInputs): HealthReport['path'] => {
  const endpoints = status.endpoints.map(({ name, state, lastActiveAt }) => ({
    name,
    bound: state === 'up',
    lastActiveAt,
    probe: probes.get(name) ?? null,
  }));
  const wanted = status.endpoints.filter(({ state }) => isWanted(state));
  const refused = wanted.filter(({ state }) => state === 'failed' || state === 'denied');
  const missing = wanted.filter(({ state }) => state === 'opening');
  const unseen = endpoints.filter(({ bound, probe }) => bound && probe?.ok === false);
  const names = (all: readonly { readonly name: string }[]): string => all.map(({ name }) => name).join(', ');
  if (refused.length > 0) return { level: 'error', text: `Refused: ${names(refused)}.`, endpoints };
  if (unseen.length > 0)
    return { level: 'error', text: `Not reached through the public URL: ${names(unseen)}.`, endpoints };
  if (missing.length > 0) return { level: 'warning', text: `Being opened: ${names(missing)}.`, endpoints };
  return {
    level: 'ok',
    text: wanted.length === 0 ? 'No endpoint is to be open.' : 'Every wanted endpoint is open.',
    endpoints,
  };
};

const upstreamPart = ({ status, upstreams }: ReportInputs): HealthReport['upstream'] => {
  const isDown = (name: string): boolean =>
    status.conditions.some(
      (c) => c.endpoint === name && (c.code === 'UPSTREAM_DOWN' || c.code === 'UPSTREAM_TLS'),
    );
  const endpoints = status.endpoints.map(({ name, upstream }) => ({
    name,
    upstream,
    state: isDown(name) ? ('down' as const) : (upstreams.get(name) ?? ('unknown' as const)),
  }));
  const down = endpoints.filter(({ state }) => state === 'down');
  if (down.length > 0)
    return {
      level: 'warning',
      text: `No answer: ${[...new Set(down.map(({ upstream }) => upstream))].join(', ')}.`,
      endpoints,
    };
  const isSeen = endpoints.some(({ state }) => state === 'up');
  return { level: 'ok', text: isSeen ? 'Every upstream answers.' : 'None is known to be down.', endpoints };
};

const machinePart = (machine: MachineState, status: StatusDocument): HealthReport['machine'] => {
  const { memoryUsed, diskUsed, temperatureC, load } = machine;
  const found: HealthPart[] = [];
  const full = (what: string, used: number | null): void => {
    if (used !== null && used >= FULL)
      found.push({
        level: used >= VERY_FULL ? 'error' : 'warning',
        text: `${what} is ${Math.round(used * 100)} % full.`,
      });
  };
  full("The state folder's disk", diskUsed);
  full('Memory', memoryUsed);
  if (temperatureC !== null && temperatureC >= HOT_C)
    found.push({ level: 'warning', text: `The board is at ${Math.round(temperatureC)} degrees Celsius.` });
  if (load >= OVERLOADED) found.push({ level: 'warning', text: 'More work than the processors can do.' });
  if (status.conditions.some(({ code }) => code === 'STORE_DEGRADED'))
    found.push({ level: 'error', text: 'The state folder cannot be written.' });
  return {
    level: worst(found.map(({ level }) => level)),
    text: found.length === 0 ? 'Has room for its work.' : found.map(({ text }) => text).join(' '),
    ...machine,
  };
};

/** The whole report. Its level is the worst of its parts and of the conditions; notes (`info`) do not count. */
export const healthReport = (inputs: ReportInputs): HealthReport => {
  const session = sessionPart(inputs.status);
  const path = pathPart(inputs);
  const upstream = upstreamPart(inputs);
  const machine = machinePart(inputs.machine, inputs.status);
  const conditions = inputs.status.conditions.flatMap(({ severity }) =>
    severity === 'info' ? [] : [severity],
  );
  const level = worst([session.level, path.level, upstream.level, machine.level, ...conditions]);
  return { level, session, path, upstream, machine };
};
