/** A command to many devices is carried out by each at a moment of its own. */

/** Milliseconds that this device waits with this command: the same each time, below `spreadS` seconds. */
export const spreadMs = (commandId: string, device: string, spreadS: number): number => {
  if (spreadS === 0) return 0;
  const text = `${commandId}${device}`;
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) >>> 0;
  return hash % (spreadS * 1000);
};
