/** Families of series, and their text in Prometheus' exposition format 0.0.4. */
import type { Metric } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly samples: readonly Sample[];
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Samples of a histogram: cumulative buckets, sum and count. `bounds` ascend; `counts` has one more, for what is above. */
export const histogramSamples = (
  labels: Labels,
  bounds: readonly number[],
  counts: readonly number[],
  sum: number,
): readonly (readonly [suffix: string, Sample])[] => {
  let seen = 0;
  const buckets = [...bounds.map(String), '+Inf'].map((le, at) => {
    seen += counts[at] ?? 0;
    return ['_bucket', [{ ...labels, le }, seen]] as const;
  });
  return [...buckets, ['_sum', [labels, sum]], ['_count', [labels, seen]]];
};

export interface Histogram extends Omit<Family, 'samples' | 'type'> {
  readonly type: 'histogram';
  readonly parts: readonly (readonly [suffix: string, Sample])[];
}

/** What the library's registry calls of a metric. Its own kinds count by themselves; ours are counted elsewhere. */
interface ToldMetric {
  readonly name: string;
  get(): Promise<{
    readonly name: string;
    readonly help: string;
    readonly type: Family['type'];
    readonly values: readonly {
      readonly metricName: string;
      readonly labels: Labels;
      readonly value: number;
    }[];
  }>;
}

const told = (family: Family | Histogram): ToldMetric => {
  const { name, type, help } = family;
  const parts = 'parts' in family ? family.parts : family.samples.map((sample) => ['', sample] as const);
  const values = parts.map(([suffix, [labels, value]]) => ({ metricName: name + suffix, labels, value }));
  return { name, get: () => Promise.resolve({ name, help, type, values }) };
};

/** The whole text. A family without samples still has its help, so that a reader sees what there could be. */
export const exposition = async (families: readonly (Family | Histogram)[]): Promise<string> => {
  // Loaded by the first reader: most devices have none.
  const { Registry } = await import('prom-client');
  const registry = new Registry();
  for (const family of families) registry.registerMetric(told(family) as unknown as Metric);
  return registry.metrics();
};
