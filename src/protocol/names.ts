/** The names that appear in topics and bodies, as patterns that schema and code share. */

/** Device id: equals the topic segment, the MQTT client id and the certificate's CN. */
export const DEVICE_ID_PATTERN = '^[a-z0-9][a-z0-9-]{2,62}$';
/** Endpoint, group, policy and upstream names. */
export const NAME_PATTERN = '^[a-z][a-z0-9-]{0,31}$';
/** ULID, upper case. */
export const ULID_PATTERN = '^[0-9A-HJKMNP-TV-Z]{26}$';
/** Nonce of one start of the daemon. */
export const BOOT_PATTERN = '^[0-9a-f]{8,32}$';
/** Key ids in JOSE headers and key sets. */
export const KID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$';

const tester = (pattern: string): ((text: string) => boolean) => {
  const expression = new RegExp(pattern, 'u');
  return (text) => expression.test(text);
};

export const isDeviceId = tester(DEVICE_ID_PATTERN);
export const isName = tester(NAME_PATTERN);
export const isUlid = tester(ULID_PATTERN);
export const isBootNonce = tester(BOOT_PATTERN);
export const isKid = tester(KID_PATTERN);
