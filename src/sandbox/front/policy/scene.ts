import type { Ends } from '../address.ts';
import { headerMap, headerValue } from '../header-list.ts';
import type { RequestHead, ResponseHead, Visit } from '../stages.ts';

/** What a rule looks at and acts on; request and response are there in their phases. */
export interface Scene {
  readonly ends: Ends;
  readonly visit: Visit | null;
  readonly request: RequestHead | null;
  readonly response: ResponseHead | null;
}

/** The variables of expressions. */
export interface Facts {
  readonly conn: Readonly<Record<string, unknown>>;
  readonly req?: Readonly<Record<string, unknown>>;
  readonly res?: Readonly<Record<string, unknown>>;
}

/** Lays a scene out as expressions name it. Whole numbers are bigints, as the expression language has them. */
export const factsOf = (scene: Scene): Facts => {
  const { ends, request, response } = scene;
  const conn = {
    client_ip: ends.clientIp,
    client_port: BigInt(ends.clientPort),
    server_ip: ends.serverIp,
    server_port: BigInt(ends.serverPort),
    ClientIP: ends.clientIp,
  };
  if (request === null) return { conn };
  const req = requestFacts(request, scene.visit?.scheme ?? 'http');
  if (response === null) return { conn, req };
  const res = {
    status_code: BigInt(response.status),
    // Old policies compare it with a string.
    StatusCode: String(response.status),
    headers: headerFacts(response.headers),
  };
  return { conn, req, res };
};

const requestFacts = (request: RequestHead, scheme: string): Readonly<Record<string, unknown>> => {
  const [rawPath = '', ...query] = request.target.split('?');
  return {
    method: request.method,
    Method: request.method,
    host: request.host,
    Host: request.host,
    headers: headerFacts(request.headers),
    content_type: headerValue(request.headers, 'content-type') ?? '',
    url: {
      path: decoded(rawPath),
      raw_path: rawPath,
      query: query.join('?'),
      scheme,
      authority: headerValue(request.headers, 'host') ?? '',
    },
  };
};

const headerFacts = (headers: readonly string[]): Readonly<Record<string, readonly string[]>> => {
  const facts: Record<string, readonly string[]> = Object.create(null);
  for (const [name, values] of headerMap(headers)) facts[name] = values;
  return facts;
};

const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};
