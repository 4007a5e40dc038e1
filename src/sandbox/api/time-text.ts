/** RFC 3339, UTC, seconds, as ngrok writes times. */
export const timeText = (wallMs: number): string => `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
