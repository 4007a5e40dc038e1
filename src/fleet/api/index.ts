/** ngrok's platform API for fleet software: a thin typed client on `fetch`. */
export type { ApiFault, ApiResult } from './api-fault.ts';
export { readApiKey } from './api-key.ts';
export { createNgrokApi, type NgrokApi, type NgrokApiOptions, parseApiUrl } from './client.ts';
export {
  type Collection,
  equals,
  type ListOptions,
  type Readable,
} from './collection.ts';
export { createMemoryRateStore, type Limiter, type RateStore } from './limiter.ts';
export { API_RATE, type Rate } from './rate-window.ts';
export type * from './resources.ts';
export { createSharedRateStore, sharedRateFile } from './shared-rate.ts';
