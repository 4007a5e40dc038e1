import type { Clock } from '../../../core/clock.ts';
import { type EdgeAnswer, edgeAnswer } from '../answer.ts';
import type { HeaderList } from '../header-list.ts';
import { basicAuth } from '../modules/basic-auth.ts';
import { checkName, headerEdits } from '../modules/header-edits.ts';
import { addressRefused, ipRestriction } from '../modules/ip-restriction.ts';
import { compilePattern } from '../modules/pattern.ts';
import { booleanAt, numberAt, type Options, optionsAt, stringAt, stringsAt } from '../option-values.ts';
import { refuse } from '../refused-bind.ts';
import { CODINGS } from '../stages.ts';
import { onlyKeys, type Phase } from './document.ts';
import { compileTemplate, compileValue } from './expressions.ts';
import { slidingWindow } from './rate-limit.ts';
import type { Scene } from './scene.ts';

/** Takes what the `log` action writes. */
export type PolicyLog = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** What actions need from outside. */
export interface PolicyContext {
  readonly clock: Clock;
  readonly log: PolicyLog;
}

/** Carries an action out; an answer ends the phase. On a raw connection any answer means: close. */
export type Action = (scene: Scene) => EdgeAnswer | null;

interface ActionKind {
  readonly phases: readonly Phase[];
  readonly keys: readonly string[];
  readonly build: (config: Options, phase: Phase, context: PolicyContext) => Action;
}

const HTTP: readonly Phase[] = ['on_http_request', 'on_http_response'];
const REQUEST: readonly Phase[] = ['on_http_request'];

/** Header values as text may hold what a header line may not. */
const oneLine = (text: string): string => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '');

const statusOf = (config: Options, otherwise: number): number => {
  const status = numberAt(config, 'status_code') ?? otherwise;
  return Number.isInteger(status) && status >= 200 && status <= 599
    ? status
    : refuse(`${status} is no status code for an answer.`);
};

const fieldsOf = (config: Options, phase: Phase): ((scene: Scene) => HeaderList) => {
  const fields = Object.entries(optionsAt(config, 'headers') ?? {}).map(([name, value]) => {
    checkName(name);
    if (typeof value !== 'string') return refuse(`The value of the header ${name} must be a string.`);
    return [name, compileTemplate(value, phase)] as const;
  });
  return (scene) => fields.flatMap(([name, write]) => [name, oneLine(write(scene))]);
};

/** Changes the headers that are on their way in this phase. */
const edit = (scene: Scene, change: (headers: HeaderList) => HeaderList): null => {
  const message = scene.response ?? scene.request;
  if (message !== null) message.headers = change(message.headers);
  return null;
};

const mustEnforce = (config: Options): void => {
  if (booleanAt(config, 'enforce') === false) refuse('enforce: false is not supported by this edge.');
};

/** A Go duration of whole seconds, minutes or hours, in ms. */
const durationMs = (text: string): number => {
  const [, amount = '', unit = ''] = /^(\d+)(s|m|h)$/.exec(text) ?? [];
  const unitMs = { s: 1_000, m: 60_000, h: 3_600_000 }[unit];
  return unitMs !== undefined && Number(amount) > 0
    ? Number(amount) * unitMs
    : refuse(`${text} is no duration of the form 60s, 5m or 1h.`);
};

const KINDS: Readonly<Record<string, ActionKind>> = {
  deny: {
    phases: ['on_tcp_connect', ...HTTP],
    keys: ['status_code'],
    build: (config) => {
      const answer = edgeAnswer(
        statusOf(config, 403),
        null,
        'The Traffic Policy of this endpoint denies this.',
      );
      return () => answer;
    },
  },
  'restrict-ips': {
    phases: ['on_tcp_connect', 'on_http_request'],
    keys: ['enforce', 'allow', 'deny'],
    build: (config) => {
      mustEnforce(config);
      const isAdmitted = ipRestriction(stringsAt(config, 'allow'), stringsAt(config, 'deny'));
      return ({ ends }) => (isAdmitted(ends.clientIp) ? null : addressRefused(ends.clientIp));
    },
  },
  log: {
    phases: ['on_tcp_connect', ...HTTP],
    keys: ['metadata'],
    build: (config, phase, { log }) => {
      const entries = Object.entries(optionsAt(config, 'metadata') ?? {}).map(([name, value]) => {
        const write = typeof value === 'string' ? compileTemplate(value, phase) : () => value;
        return [name, write] as const;
      });
      return (scene) => {
        log(
          { phase, ...Object.fromEntries(entries.map(([name, write]) => [name, write(scene)])) },
          'traffic policy',
        );
        return null;
      };
    },
  },
  'add-headers': {
    phases: HTTP,
    keys: ['headers'],
    build: (config, phase) => {
      const fields = fieldsOf(config, phase);
      const gone = headerEdits([], Object.keys(optionsAt(config, 'headers') ?? {}));
      return (scene) => edit(scene, (headers) => [...gone(headers), ...fields(scene)]);
    },
  },
  'remove-headers': {
    phases: HTTP,
    keys: ['headers'],
    build: (config) => {
      const change = headerEdits([], stringsAt(config, 'headers'));
      return (scene) => edit(scene, change);
    },
  },
  'custom-response': {
    phases: HTTP,
    keys: ['status_code', 'body', 'content', 'headers'],
    build: (config, phase) => {
      const status = statusOf(config, 200);
      const body = compileTemplate(stringAt(config, 'body') ?? stringAt(config, 'content') ?? '', phase);
      const fields = fieldsOf(config, phase);
      return (scene) => ({ status, code: null, headers: fields(scene), body: body(scene) });
    },
  },
  redirect: {
    phases: REQUEST,
    keys: ['from', 'to', 'status_code', 'headers'],
    build: (config, phase) => {
      const from = stringAt(config, 'from');
      const pattern = from === null ? null : compilePattern(from);
      const to = compileTemplate(stringAt(config, 'to') ?? refuse('redirect needs a place to go to.'), phase);
      const status = statusOf(config, 302);
      const fields = fieldsOf(config, phase);
      return (scene) => {
        if (scene.request === null) return null;
        const url = `${scene.visit?.scheme ?? 'http'}://${scene.request.host}${scene.request.target}`;
        if (pattern !== null && !pattern.test(url)) return null;
        const target = pattern === null ? to(scene) : url.replace(pattern, to(scene));
        return { status, code: null, headers: ['Location', oneLine(target), ...fields(scene)], body: '' };
      };
    },
  },
  'basic-auth': {
    phases: REQUEST,
    keys: ['credentials', 'realm', 'enforce'],
    build: (config) => {
      mustEnforce(config);
      const stage = basicAuth(stringsAt(config, 'credentials'), stringAt(config, 'realm') ?? 'ngrok');
      return ({ request, visit }) => (request === null || visit === null ? null : stage(request, visit));
    },
  },
  'rate-limit': {
    phases: REQUEST,
    keys: ['name', 'algorithm', 'capacity', 'rate', 'bucket_key'],
    build: (config, phase, { clock }) => {
      const algorithm = stringAt(config, 'algorithm') ?? 'sliding_window';
      if (algorithm !== 'sliding_window') refuse(`The algorithm ${algorithm} is not supported by this edge.`);
      const capacity = numberAt(config, 'capacity') ?? 0;
      if (!Number.isInteger(capacity) || capacity < 1) refuse('rate-limit needs a capacity of at least 1.');
      const windowMs = durationMs(stringAt(config, 'rate') ?? '');
      const keys = stringsAt(config, 'bucket_key').map((source) => compileValue(source, phase));
      const waitFor = slidingWindow(capacity, windowMs, clock);
      return (scene) => {
        const waitMs = waitFor(JSON.stringify(keys.map((key) => key(scene))));
        if (waitMs === 0) return null;
        return edgeAnswer(429, null, 'There were too many requests.', [
          'Retry-After',
          String(Math.ceil(waitMs / 1_000)),
        ]);
      };
    },
  },
  'compress-response': {
    phases: ['on_http_response'],
    keys: ['algorithms'],
    build: (config) => {
      const wanted = stringsAt(config, 'algorithms');
      for (const name of wanted) {
        if (!CODINGS.some((coding) => coding === name))
          refuse(`The coding ${name} is not supported by this edge.`);
      }
      const codings = wanted.length === 0 ? CODINGS : CODINGS.filter((coding) => wanted.includes(coding));
      return ({ response }) => {
        if (response !== null) response.codings = codings;
        return null;
      };
    },
  },
};

/** Compiles one action; throws `RefusedBind` when this edge does not know it, or not in this phase. */
export const compileAction = (
  type: string,
  config: Options,
  phase: Phase,
  context: PolicyContext,
): Action => {
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (kind === undefined) return refuse(`The action ${type} is not supported by this edge.`);
  if (!kind.phases.includes(phase)) refuse(`The action ${type} has no place in ${phase}.`);
  onlyKeys(config, kind.keys, `The action ${type}`);
  return kind.build(config, phase, context);
};
