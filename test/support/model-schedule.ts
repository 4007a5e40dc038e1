/** Schedules of commands and faults for the working model, as fast-check makes and shrinks them. */
import fc from 'fast-check';
import type { EdgeMode } from './model-edge.ts';
import { ModelWorld } from './model-world.ts';

type Op =
  | { readonly op: 'start' | 'stop' | 'change'; readonly endpoint: string }
  | {
      readonly op: 'rekey';
      readonly kind: 'good' | 'refused' | 'narrow' | 'suspended';
      readonly breakFirst: boolean;
    }
  | { readonly op: 'edge'; readonly mode: EdgeMode }
  | { readonly op: 'answer'; readonly code: string | null }
  | { readonly op: 'limit'; readonly sessions: number }
  | { readonly op: 'room'; readonly endpoints: number }
  | { readonly op: 'acl'; readonly endpoints: readonly string[] | null }
  | { readonly op: 'slow'; readonly authMs: number }
  | { readonly op: 'power' | 'supervisor'; readonly ms: number }
  | {
      readonly op: 'restart' | 'lock' | 'unlock' | 'cut' | 'crash' | 'freeze' | 'thaw' | 'revoke' | 'network';
    };

export interface Step {
  readonly op: Op;
  /** Milliseconds to live through after it. */
  readonly waitMs: number;
}

export interface Schedule {
  readonly seed: number;
  readonly tellsClosed: boolean;
  readonly steps: readonly Step[];
}

const NAMES = ['web', 'ssh', 'plc'] as const;
/** One of each class, and one that nobody knows. */
const CODES = [
  'ERR_NGROK_128',
  'ERR_NGROK_349',
  'ERR_NGROK_103',
  'ERR_NGROK_121',
  'ERR_NGROK_100',
  'ERR_NGROK_99999',
];

const anyName = fc.constantFrom(...NAMES);
const simple = fc.constantFrom(
  'restart',
  'lock',
  'unlock',
  'cut',
  'crash',
  'freeze',
  'thaw',
  'revoke',
  'network',
);

const anyOp: fc.Arbitrary<Op> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('start', 'stop', 'change'), endpoint: anyName }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('rekey'),
      kind: fc.constantFrom('good', 'good', 'refused', 'narrow', 'suspended'),
      breakFirst: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('edge'),
      mode: fc.constantFrom('up', 'up', 'closed', 'frozen', 'dead', 'middlebox'),
    }),
  },
  { weight: 5, arbitrary: fc.record({ op: simple }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('answer'), code: fc.constantFrom(null, null, ...CODES) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('limit'), sessions: fc.constantFrom(1, 1, 99) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('room'), endpoints: fc.constantFrom(1, 2, 3, 99) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('acl'),
      endpoints: fc.constantFrom(null, ['web'], ['ssh', 'plc']),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('slow'), authMs: fc.constantFrom(0, 0, 3000, 8000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom('power', 'supervisor'),
      ms: fc.constantFrom(100, 2000, 40_000),
    }),
  },
) as fc.Arbitrary<Op>;

/** Mostly soon, so that things meet; sometimes long enough for everything to settle. */
const anyWait = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 3000 }) },
  { weight: 3, arbitrary: fc.integer({ min: 3000, max: 20_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 20_000, max: 120_000 }) },
);

export const anySchedule = (maxSteps: number): fc.Arbitrary<Schedule> =>
  fc.record({
    seed: fc.nat(),
    tellsClosed: fc.boolean(),
    steps: fc.array(fc.record({ op: anyOp, waitMs: anyWait }), { maxLength: maxSteps, size: 'max' }),
  });

const anyProcess = (world: ModelWorld) => {
  const alive = world.alive();
  return alive[Math.floor(world.time.random() * alive.length)];
};

const currentToken = (world: ModelWorld): string => world.vault[world.vault.current]?.authtoken ?? '';

let serial = 0;

const rekey = (world: ModelWorld, op: Extract<Op, { op: 'rekey' }>): void => {
  serial += 1;
  const token = `${op.kind}-${serial}`;
  const rule = world.edge.token(token);
  if (op.kind === 'refused') rule.valid = false;
  if (op.kind === 'narrow') rule.acl = new Set(['web']);
  if (op.kind === 'suspended') rule.answer = 'ERR_NGROK_103';
  world.rekey(token, op.breakFirst);
};

export const applyOp = (world: ModelWorld, op: Op): void => {
  if (op.op !== 'rekey') world.note(`op ${JSON.stringify(op)}`);
  switch (op.op) {
    case 'start':
      world.start(op.endpoint);
      break;
    case 'stop':
      world.stop(op.endpoint);
      break;
    case 'change':
      world.change(op.endpoint);
      break;
    case 'rekey':
      if (!world.isAway) rekey(world, op);
      break;
    case 'edge':
      world.edge.setMode(op.mode);
      break;
    case 'answer':
      world.edge.token(currentToken(world)).answer = op.code;
      break;
    case 'limit':
      world.edge.limit = op.sessions;
      break;
    case 'room':
      world.edge.endpointLimit = op.endpoints;
      break;
    case 'acl':
      world.edge.token(currentToken(world)).acl = op.endpoints === null ? null : new Set(op.endpoints);
      break;
    case 'slow':
      world.edge.authMs = op.authMs;
      break;
    case 'power':
      if (!world.isAway) world.powerCut(op.ms);
      break;
    case 'supervisor':
      if (!world.isAway) world.supervisorCrash(op.ms);
      break;
    case 'restart':
      world.restart();
      break;
    case 'lock':
      world.lock(true);
      break;
    case 'unlock':
      world.lock(false);
      break;
    case 'cut':
      world.edge.cutAll();
      break;
    case 'crash':
      anyProcess(world)?.crash();
      break;
    case 'freeze':
      anyProcess(world)?.freeze();
      break;
    case 'thaw':
      for (const p of world.alive()) p.thaw();
      break;
    case 'revoke':
      world.edge.revoke(currentToken(world));
      break;
    case 'network':
      world.networkChanged();
      break;
  }
};

/** Ends every fault. Tokens are good again, and an operator asks for another try. */
export const endFaults = (world: ModelWorld): void => {
  world.note('faults end');
  world.edge.limit = Number.POSITIVE_INFINITY;
  world.edge.endpointLimit = Number.POSITIVE_INFINITY;
  world.edge.authMs = 0;
  for (const rule of world.edge.tokens.values()) {
    rule.valid = true;
    rule.acl = null;
    rule.answer = null;
  }
  world.edge.setMode('up');
  for (const p of world.alive()) p.thaw();
  world.lock(false);
  world.retry();
};

export interface Outcome {
  readonly steps: number;
  readonly rounds: number;
  readonly modelMs: number;
  /** Milliseconds from the end of all faults until everything wanted was served. */
  readonly servingMs: number;
}

const SERVING_WITHIN_MS = 90_000;
const STEADY_WITHIN_MS = 300_000;
const STEADY_MS = 45_000;

/** Until one process serves everything, and goes on so for longer than any drain takes. */
const settle = (world: ModelWorld): void => {
  const end = world.time.now() + STEADY_WITHIN_MS;
  let steadyMs = 0;
  while (steadyMs < STEADY_MS) {
    if (world.time.now() > end) world.fail('does not become steady');
    world.run(1000);
    steadyMs = world.isSteady() ? steadyMs + 1000 : 0;
  }
};

/** Lives through a schedule and the quiet after it. Throws with the last lines of the log when something did not hold. */
export const liveThrough = (schedule: Schedule): Outcome => {
  const world = new ModelWorld({
    seed: schedule.seed,
    tellsClosed: schedule.tellsClosed,
    endpoints: [
      { name: 'web' },
      { name: 'ssh', on: schedule.seed % 2 === 0 },
      { name: 'plc', pooling: false, on: schedule.seed % 3 !== 0 },
    ],
  });
  world.run(schedule.seed % 4 === 0 ? 100 : 3000);
  for (const { op, waitMs } of schedule.steps) {
    applyOp(world, op);
    world.run(waitMs);
  }
  if (world.isAway) world.run(40_000);
  endFaults(world);
  const servingMs = world.runUntil(() => world.isServingAll(), SERVING_WITHIN_MS);
  if (servingMs === null) return world.fail('does not serve after all faults ended');
  settle(world);
  const { length } = world.actions;
  world.run(600_000);
  if (world.actions.length !== length) world.fail('acts though nothing is amiss');
  world.lock(true);
  if (world.runUntil(() => world.alive().length === 0, 60_000) === null)
    world.fail('does not end when it is to');
  return { steps: world.steps, rounds: world.rounds, modelMs: world.time.now(), servingMs };
};
