/** What can go wrong between this program and the API, as values. */
import { type Fault, type FaultCode, fault } from '../../core/errors.ts';

/** A failed request. `message` already names the request, ngrok's code and the operation. */
export interface ApiFault extends Fault {
  /** HTTP status; null when no whole answer came. */
  readonly status: number | null;
  /** ngrok's trace id (`op_…`), to be told to their support; null when there was none. */
  readonly operationId: string | null;
  /** True when the service may have done the work although no good answer came: look before doing it again. */
  readonly isUncertain: boolean;
}

/** The value or the fault of a request. */
export type ApiResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: ApiFault };

/** An answer of the service, its body not yet judged. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
  /** Seconds, from `Retry-After`; null when there is none. */
  readonly retryAfterS: number | null;
}

const LONGEST_MESSAGE = 300;

/** ngrok's text may end in its code and have lines; ours is one sentence. */
const tidy = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, LONGEST_MESSAGE);

interface ErrorBody {
  readonly msg: string;
  readonly ngrokCode: string | null;
  readonly operationId: string | null;
}

const text = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** Reads an error body; a page that is not JSON (a proxy's, say) gives an empty one. */
const readErrorBody = (body: string): ErrorBody => {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    json = null;
  }
  const record = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const details = (
    typeof record['details'] === 'object' && record['details'] !== null ? record['details'] : {}
  ) as Record<string, unknown>;
  const code = text(record['error_code']);
  return {
    msg: text(record['msg']) ?? '',
    ngrokCode: code !== null && /^ERR_NGROK_\d+$/.test(code) ? code : null,
    operationId: text(details['operation_id']),
  };
};

/** In use for a moment: the state around it changes by itself (the Kubernetes operator retries these too). */
const PASSING = new Set(['ERR_NGROK_18016', 'ERR_NGROK_18017', 'ERR_NGROK_446', 'ERR_NGROK_511']);

const codeOf = (status: number): FaultCode => {
  if (status === 401 || status === 403) return 'API_AUTH_REFUSED';
  if (status === 404) return 'API_NOT_FOUND';
  if (status === 429) return 'API_RATE_LIMITED';
  return status >= 500 ? 'API_UNAVAILABLE' : 'API_REFUSED';
};

/** Turns an answer that is no success into a fault. `what` is method and path. */
export const faultOfAnswer = (what: string, { status, text: body }: RawAnswer): ApiFault => {
  const { msg, ngrokCode, operationId } = readErrorBody(body);
  const code = codeOf(status);
  const marks = [`${status}`, ngrokCode, operationId].filter((mark) => mark !== null).join(', ');
  const said = msg === '' ? 'no reason given' : tidy(msg).replace(/\.$/, '');
  const isRetryable = status === 429 || status >= 500 || (ngrokCode !== null && PASSING.has(ngrokCode));
  return {
    ...fault(code, `${what}: ${said} (${marks}).`, isRetryable, ngrokCode ?? undefined),
    status,
    operationId,
    isUncertain: status >= 500,
  };
};

/** Codes of a connection that never came about, so that nothing can have been done. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** The innermost error code of what `fetch` rejected with. */
const causeCode = (error: unknown): string => {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    const inner = at instanceof AggregateError ? (at.errors as unknown[])[0] : undefined;
    if (inner instanceof Error && typeof (inner as NodeJS.ErrnoException).code === 'string')
      return (inner as NodeJS.ErrnoException).code ?? '';
  }
  return '';
};

const isTlsCode = (code: string): boolean => /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code);

/** A request that got no whole answer. */
export const faultOfException = (what: string, error: unknown): ApiFault => {
  const code = causeCode(error);
  const isNeverSent = NEVER_SENT.has(code) || isTlsCode(code);
  return {
    ...fault('API_UNAVAILABLE', `${what}: no answer (${code === '' ? 'cut off' : code}).`, !isTlsCode(code)),
    status: null,
    operationId: null,
    isUncertain: !isNeverSent,
  };
};

/** An answer that says success and cannot be read. */
export const unreadable = (what: string, status: number): ApiFault => ({
  ...fault('API_UNAVAILABLE', `${what}: the answer (${status}) is not the JSON that was expected.`, true),
  status,
  operationId: null,
  isUncertain: true,
});
