/** Reading of fields from JSON of unknown shape. */
export type Json = Readonly<Record<string, unknown>>;

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const textAt = (from: Json, key: string): string => {
  const value = from[key];
  return typeof value === 'string' ? value : '';
};

export const numberAt = (from: Json, key: string): number => {
  const value = from[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
};

export const objectAt = (from: Json, key: string): Json => {
  const value = from[key];
  return isJson(value) ? value : {};
};

export const textsAt = (from: Json, key: string): readonly string[] => {
  const value = from[key];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
};
