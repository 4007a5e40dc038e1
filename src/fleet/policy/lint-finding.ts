/** What a look at a policy, a script or endpoints brought to light. */
export interface Finding {
  readonly code:
    | 'UNREACHABLE'
    | 'GUARD_TOO_LATE'
    | 'FORWARD_TARGET'
    | 'WRONG_PHASE'
    | 'UNKNOWN_ACTION'
    | 'OPEN_TO_ALL'
    | 'NOT_ENFORCED'
    | 'BAD_CIDR'
    | 'CERTIFICATE'
    | 'WEAK_CHECK'
    | 'SECRET_IN_TEXT'
    | 'NO_END'
    | 'LOCAL_API'
    | 'AGENT_API_PATH'
    | 'API_VERSION'
    | 'TOKEN_UNRESTRICTED'
    | 'UPSTREAM_PORT';
  readonly severity: 'error' | 'warning';
  /** Where: a rule's name or place, or a file's endpoint. */
  readonly at: string;
  readonly message: string;
}
