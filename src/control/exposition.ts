/** Text in Prometheus' exposition format 0.0.4. */

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly samples: readonly Sample[];
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const escapeLabel = (value: string): string =>
  value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

const labelText = (labels: Labels): string => {
  const all = Object.entries(labels);
  return all.length === 0 ? '' : `{${all.map(([k, v]) => `${k}="${escapeLabel(v)}"`).join(',')}}`;
};

const numberText = (value: number): string =>
  Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN';

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

const line = (name: string, [labels, value]: Sample): string =>
  `${name}${labelText(labels)} ${numberText(value)}\n`;

/** The whole text. A family without samples still has its help, so that a reader sees what there could be. */
export const exposition = (families: readonly (Family | Histogram)[]): string =>
  families
    .map((f) => {
      const head = `# HELP ${f.name} ${f.help}\n# TYPE ${f.name} ${f.type}\n`;
      const lines =
        'parts' in f
          ? f.parts.map(([suffix, sample]) => line(f.name + suffix, sample))
          : f.samples.map((sample) => line(f.name, sample));
      return head + lines.join('');
    })
    .join('');
