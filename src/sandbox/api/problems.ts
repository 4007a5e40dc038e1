/** What the API refuses, in one table: HTTP status, ngrok's number where it is known, and our own wording. */

/**
 * The statuses of 200 to 208 and the order in which requests are checked are not documented; both are assumptions, of
 * which this table is the only place (for the statuses) and `server.ts` (for the order).
 */
const PROBLEMS = {
  noAuthorization: [401, 200, 'The Authorization header is missing.'],
  badAuthorization: [401, 201, 'The Authorization header is not of the form "Bearer KEY".'],
  notAKey: [401, 202, 'The credential given does not have the form of an API key.'],
  unknownKey: [401, 203, 'The API key is not valid.'],
  authtokenAsKey: [401, 206, 'The credential given is an authtoken of an agent, not an API key.'],
  keyIdAsKey: [401, 208, 'The credential given is the id of an API key, not the key.'],
  badContentType: [415, 210, 'The Content-Type must be application/json.'],
  bodyNotExpected: [400, 211, 'This request takes no body.'],
  badJson: [400, 213, 'The body is not a JSON object of the expected types.'],
  unknownField: [400, 214, 'The body has a field that is not known here.'],
  noContentType: [400, 216, 'A request with a body needs a Content-Type.'],
  badVersion: [400, 217, 'The Ngrok-Version header names a version that does not exist.'],
  noVersion: [400, 218, 'The Ngrok-Version header is missing.'],
  tooManyAtOnce: [429, 225, 'Too many API requests at the same time.'],
  tooMany: [429, 226, 'Too many API requests; wait before the next one.'],
  wrongPrefix: [400, 227, 'An id has the wrong prefix for what it should name.'],
  unknownQuery: [400, 231, 'The query has a parameter that is not known here.'],
  limitOutside: [400, 233, 'The limit must be from 1 to 100.'],
  badFormat: [400, 235, 'The format of an event destination must be json.'],
  notOneTarget: [400, 236, 'An event destination needs exactly one target.'],
  badSource: [400, 238, 'There is no event source of this type.'],
  badAwsAuth: [400, 240, 'The auth of a target needs either a role or a pair of keys.'],
  limitNotNumber: [400, 244, 'The limit must be a number.'],
  notCloud: [400, 248, 'Only endpoints of type cloud can be made here.'],
  badUrl: [400, 249, 'The URL of the endpoint is not valid.'],
  badFilter: [400, 250, 'The filter is not valid here.'],
  domainWildcard: [400, 402, 'A wildcard must be the whole first label of a domain.'],
  domainInvalid: [400, 403, 'The domain is not a valid host name.'],
  domainYours: [400, 413, 'The domain is already reserved in this account.'],
  domainTaken: [400, 414, 'The domain is reserved by another account.'],
  domainNoChange: [400, 422, 'The update of the domain changes nothing.'],
  domainBothCertificates: [400, 434, 'A domain takes a certificate or a management policy, not both.'],
  domainInUse: [400, 446, 'The domain is in use by an endpoint.'],
  addressNoChange: [400, 506, 'The update of the address changes nothing.'],
  badAcl: [400, 600, 'The ACL has an entry that is not a rule.'],
  descriptionLong: [400, 604, 'The description is longer than 255 bytes.'],
  metadataLong: [400, 605, 'The metadata is longer than 4096 bytes.'],
  credentialNoChange: [400, 606, 'The update of the credential changes nothing.'],
  ownerNotAllowed: [403, 630, 'Only administrators may choose the owner of a credential.'],
  ownerInactive: [400, 636, 'The owner of the credential is not active.'],
  restartUnsupported: [400, 804, 'The agent does not support a remote restart.'],
  stopUnsupported: [400, 805, 'The agent does not support a remote stop.'],
  updateUnsupported: [400, 806, 'The agent does not support a remote update.'],
  restartFailed: [502, 807, 'The agent reported that the restart failed.'],
  stopFailed: [502, 808, 'The agent reported that the stop failed.'],
  updateFailed: [502, 809, 'The agent reported that the update failed.'],
  agentLost: [502, 810, 'The connection to the agent was lost; it may have carried out the command.'],
  nameEmpty: [400, 4109, 'The name of a service user must not be empty.'],
  nameLong: [400, 4110, 'The name of a service user is too long.'],
  adminsOnly: [403, 4111, 'Only administrators may make or change service users.'],
  nameTaken: [400, 4112, 'There is a service user of this name already.'],
  badPolicy: [400, 18002, 'The traffic policy is neither JSON nor YAML of a mapping.'],
  endpointNoChange: [400, 18004, 'The update of the endpoint changes nothing.'],
  schemeChange: [400, 18005, 'The scheme of an endpoint cannot be changed.'],
  cloudTaken: [400, 18009, 'The account has a cloud endpoint on this URL already.'],
  othersNotPooled: [400, 18016, 'Another endpoint on this URL is not pooled.'],
  pooledOthers: [400, 18017, 'Another endpoint is on this URL; this one would have to be pooled.'],
  // Without a number of ngrok's that we know of.
  noRoute: [404, null, 'There is no such resource.'],
  missingField: [400, null, 'A required field is missing.'],
  badValue: [400, null, 'A field has a value that is not allowed.'],
  noOwner: [400, null, 'There is no such owner.'],
  agentEndpoint: [400, null, 'An endpoint of an agent cannot be changed or deleted here.'],
  inUse: [400, null, 'It is in use.'],
  taken: [400, null, 'There is one of this name already.'],
  bodyTooLarge: [413, null, 'The body is too large.'],
  broken: [500, null, 'Something went wrong here.'],
} as const satisfies Record<string, readonly [number, number | null, string]>;

export type ProblemName = keyof typeof PROBLEMS;

/** A refusal on its way to the client. A class, so that no object from a request can be taken for one. */
export class Problem {
  readonly name: ProblemName;
  readonly details: Readonly<Record<string, string>>;

  constructor(name: ProblemName, details: Readonly<Record<string, string>>) {
    this.name = name;
    this.details = details;
  }
}

export const problem = (name: ProblemName, details: Readonly<Record<string, string>> = {}): Problem =>
  new Problem(name, details);

export const isProblem = (value: unknown): value is Problem => value instanceof Problem;

export const statusOf = (refused: Problem): number => PROBLEMS[refused.name][0];

/** The error body; `error_code` is absent where there is none, as in ngrok's own examples. */
export const problemBody = (refused: Problem, operationId: string): Record<string, unknown> => {
  const [status, number, msg] = PROBLEMS[refused.name];
  return {
    ...(number === null ? {} : { error_code: `ERR_NGROK_${number}` }),
    status_code: status,
    msg,
    details: { ...refused.details, operation_id: operationId },
  };
};
