const UNIT_S: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** Reads `90`, `90s`, `15m`, `1h`, `7d` as seconds; undefined for anything else. */
export const parseDurationS = (text: string): number | undefined => {
  const match = /^(\d{1,9})([smhd]?)$/.exec(text.trim());
  const unit = UNIT_S[match?.[2] ?? 'none'];
  return match?.[1] === undefined || unit === undefined ? undefined : Number(match[1]) * unit;
};
