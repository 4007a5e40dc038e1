import { Environment } from '@marcbachmann/cel-js';
import { refuse } from '../refused-bind.ts';
import type { Phase } from './document.ts';
import { factsOf, type Scene } from './scene.ts';

const connectEnvironment = (): Environment =>
  new Environment()
    .registerType('Conn', {
      fields: {
        client_ip: 'string',
        client_port: 'int',
        server_ip: 'string',
        server_port: 'int',
        ClientIP: 'string',
      },
    })
    .registerVariable('conn', 'Conn');

const requestEnvironment = (): Environment =>
  connectEnvironment()
    .registerType('Url', {
      fields: { path: 'string', raw_path: 'string', query: 'string', scheme: 'string', authority: 'string' },
    })
    .registerType('Req', {
      fields: {
        method: 'string',
        Method: 'string',
        host: 'string',
        Host: 'string',
        headers: 'map<string, list<string>>',
        content_type: 'string',
        url: 'Url',
      },
    })
    .registerVariable('req', 'Req');

const responseEnvironment = (): Environment =>
  requestEnvironment()
    .registerType('Res', {
      fields: { status_code: 'int', StatusCode: 'string', headers: 'map<string, list<string>>' },
    })
    .registerVariable('res', 'Res');

/** Declared variables only: an expression that names any other is refused, not silently false. */
const ENVIRONMENTS: Readonly<Record<Phase, Environment>> = {
  on_tcp_connect: connectEnvironment(),
  on_http_request: requestEnvironment(),
  on_http_response: responseEnvironment(),
};

const WRITABLE: ReadonlySet<string> = new Set(['string', 'int', 'uint', 'double', 'bool']);

/** Compiles a condition. One that fails when it runs (a header that is not there) counts as false. */
export const compileCondition = (source: string, phase: Phase): ((scene: Scene) => boolean) => {
  const { run, type } = compile(source, phase);
  if (type !== 'bool') refuse(`The expression ${source} gives ${type}, not a condition.`);
  return (scene) => {
    try {
      return run(scene) === true;
    } catch {
      return false;
    }
  };
};

/** Compiles an expression whose value is shown; one that fails when it runs gives an empty text. */
export const compileValue = (source: string, phase: Phase): ((scene: Scene) => string) => {
  const { run, type } = compile(source, phase);
  if (!WRITABLE.has(type)) refuse(`The expression ${source} gives ${type}, which has no text.`);
  return (scene) => {
    try {
      return String(run(scene));
    } catch {
      return '';
    }
  };
};

/** Compiles text with `${expression}` in it. */
export const compileTemplate = (text: string, phase: Phase): ((scene: Scene) => string) => {
  const parts = text.split(/\$\{([^}]*)\}/);
  const writers = parts.map((part, index) => (index % 2 === 0 ? () => part : compileValue(part, phase)));
  return (scene) => writers.map((write) => write(scene)).join('');
};

const compile = (source: string, phase: Phase): { run: (scene: Scene) => unknown; type: string } => {
  try {
    const expression = ENVIRONMENTS[phase].parse(source);
    const check = expression.check();
    if (check.valid) return { run: (scene) => expression({ ...factsOf(scene) }), type: String(check.type) };
  } catch {
    // Told below, in the words of the policy rather than the parser's.
  }
  return refuse(`The expression ${source} is not supported by this edge in ${phase}.`);
};
