/** The console's looks: phone first, light and dark. */
export const STYLE_CSS = `:root {
  --ground: #f3f5f7; --card: #fff; --ink: #14202b; --faint: #5b6b7a; --line: #dde3e9; --sunk: #eef2f5;
  --online: #15803d; --stuck: #b45309; --offline: #b91c1c; --unknown: #7a8997; --accent: #155e75;
  --shade: 0 1px 2px rgb(16 32 48 / .06), 0 2px 10px rgb(16 32 48 / .05);
}
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) {
  --ground: #0d1318; --card: #161f27; --ink: #e6edf3; --faint: #93a4b3; --line: #26333e; --sunk: #101920;
  --online: #4ade80; --stuck: #fbbf24; --offline: #f87171; --unknown: #8494a3; --accent: #38bdf8; --shade: none;
} }
:root[data-theme=dark] {
  --ground: #0d1318; --card: #161f27; --ink: #e6edf3; --faint: #93a4b3; --line: #26333e; --sunk: #101920;
  --online: #4ade80; --stuck: #fbbf24; --offline: #f87171; --unknown: #8494a3; --accent: #38bdf8; --shade: none; color-scheme: dark;
}
:root[data-theme=light] { color-scheme: light; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.1rem; margin: 0; letter-spacing: -.01em; } h2 { font-size: .8rem; margin: 0; color: var(--faint); text-transform: uppercase; letter-spacing: .07em; }
p { margin: 0; } code { font-size: .92em; } .faint { color: var(--faint); font-size: .86rem; } .note { margin-top: 1rem; text-align: center; }
.top { position: sticky; top: 0; z-index: 2; display: flex; align-items: center; gap: .6rem; padding: .6rem max(1rem, calc((100vw - 1180px) / 2)); background: var(--card); border-bottom: 1px solid var(--line); }
.mark { width: 34px; height: 34px; flex: none; } .mark rect { fill: #155e75; } .mark path { fill: none; stroke: #fff; stroke-width: 3; stroke-linecap: round; }
.who { flex: 1; min-width: 0; }
button, select, input { font: inherit; color: var(--ink); }
button, select { font-size: .86rem; min-height: 36px; padding: .3rem .7rem; background: transparent; border: 1px solid var(--line); border-radius: 8px; cursor: pointer; }
button:hover:not(:disabled), select:hover { border-color: var(--faint); } button:disabled { opacity: .5; cursor: default; }
button.primary { background: #155e75; border-color: #155e75; color: #fff; font-weight: 600; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
main { max-width: 1180px; margin: 0 auto; padding: 1rem; display: grid; gap: 1.1rem; } main > section { min-width: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; box-shadow: var(--shade); }
.pill { font-size: .74rem; font-weight: 700; padding: .06rem .5rem; border-radius: 99px; border: 1px solid currentColor; color: var(--unknown); white-space: nowrap; }
.pill.connected, .pill.up, .pill.online { color: var(--online); } .pill.connecting, .pill.opening, .pill.stuck, .pill.warning { color: var(--stuck); } .pill.offline, .pill.failed, .pill.denied, .pill.auth-failed, .pill.error { color: var(--offline); }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .6rem; }
.tile { display: block; text-align: left; padding: .7rem .9rem; background: var(--card); border: 1px solid var(--line); border-top: 3px solid var(--c); border-radius: 12px; box-shadow: var(--shade); min-height: 0; }
.tile b { display: block; font-size: 1.55rem; line-height: 1.15; font-variant-numeric: tabular-nums; } .tile span { color: var(--faint); font-size: .82rem; }
.tile[aria-pressed=true] { border-color: var(--c); background: color-mix(in srgb, var(--c) 9%, var(--card)); }
.s-online { --c: var(--online); } .s-stuck { --c: var(--stuck); } .s-offline { --c: var(--offline); } .s-unknown { --c: var(--unknown); }
.rotation { padding: .9rem 1.1rem; display: grid; gap: .5rem; } .rotation header { display: flex; gap: .6rem; align-items: baseline; flex-wrap: wrap; } .rotation header b { font-size: 1rem; } .rotation header span:last-child { margin-left: auto; font-variant-numeric: tabular-nums; }
progress { width: 100%; height: 10px; appearance: none; border: 0; border-radius: 99px; overflow: hidden; background: var(--sunk); } progress::-webkit-progress-bar { background: var(--sunk); } progress::-webkit-progress-value { background: var(--online); transition: width .4s; } progress::-moz-progress-bar { background: var(--online); }
#map-box h2 { margin-bottom: .6rem; }
.map { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 220px), 1fr)); gap: .6rem; }
.device > summary .pill { justify-self: start; }
.site { display: flex; flex-direction: column; text-align: left; padding: .7rem .8rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px; box-shadow: var(--shade); min-width: 0; }
.site[aria-pressed=true] { border-color: var(--accent); background: color-mix(in srgb, var(--accent) 8%, var(--card)); }
.site header { display: flex; width: 100%; justify-content: space-between; gap: .5rem; font-size: .88rem; margin-bottom: .45rem; } .site header b { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .site header span { color: var(--faint); font-variant-numeric: tabular-nums; white-space: nowrap; }
.dots { display: flex; flex-wrap: wrap; gap: 3px; } .dots i { width: 10px; height: 10px; border-radius: 3px; background: var(--c); } .dots i.s-online { opacity: .75; }
.strip { display: flex; width: 100%; height: 12px; border-radius: 99px; overflow: hidden; background: var(--sunk); } .strip i { background: var(--c); min-width: 2px; }
.bar { display: flex; gap: .8rem; align-items: center; justify-content: space-between; flex-wrap: wrap; margin-bottom: .6rem; }
input[type=search], .sign-in input { font-size: 16px; min-height: 40px; padding: .4rem .7rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; width: min(100%, 330px); }
.list { display: grid; gap: .5rem; }
.device { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--c); border-radius: 12px; box-shadow: var(--shade); min-width: 0; }
.device > summary { display: grid; grid-template-columns: minmax(9rem, 15rem) 5.4rem minmax(0, 1fr) auto; gap: .3rem .8rem; align-items: center; padding: .6rem .9rem; cursor: pointer; list-style: none; } .device > summary::-webkit-details-marker { display: none; }
.device .name { min-width: 0; } .device .name b { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .device .name span { color: var(--faint); font-size: .8rem; }
.why { color: var(--faint); font-size: .88rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .why.error { color: var(--offline); } .why.warning { color: var(--stuck); }
.count { color: var(--faint); font-size: .84rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.inside { border-top: 1px solid var(--line); padding: .8rem .9rem 1rem; display: grid; gap: .8rem; }
.endpoint { display: flex; flex-wrap: wrap; gap: .5rem .7rem; align-items: center; background: var(--sunk); border-radius: 10px; padding: .6rem .8rem; }
.endpoint .what { flex: 1 1 14rem; min-width: 0; } .endpoint .what a { color: var(--accent); font-size: .86rem; display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .endpoint .lease { font-size: .84rem; color: var(--faint); font-variant-numeric: tabular-nums; }
.do { display: flex; gap: .4rem; }
.conditions { list-style: none; margin: 0; padding: 0; display: grid; gap: .35rem; font-size: .9rem; } .conditions li { display: flex; gap: .5rem; align-items: baseline; } .conditions li span:last-child { overflow-wrap: anywhere; }
dl { margin: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: .5rem .9rem; font-size: .88rem; } dt { color: var(--faint); font-size: .76rem; } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
#more { width: 100%; margin-top: .6rem; }
#toasts { position: fixed; inset: auto 1rem 1rem auto; display: grid; gap: .5rem; max-width: min(92vw, 420px); z-index: 3; } .toast { background: var(--ink); color: var(--ground); padding: .6rem .9rem; border-radius: 10px; font-size: .9rem; overflow-wrap: anywhere; } .toast.bad { background: var(--offline); color: #fff; }
.login main { min-height: 100vh; place-items: center; } .sign-in { width: min(100%, 360px); padding: 1.6rem; display: grid; gap: .8rem; } .sign-in label { font-size: .88rem; color: var(--faint); } .sign-in input { width: 100%; min-height: 44px; } .sign-in button { min-height: 44px; } .said { color: var(--offline); font-size: .9rem; }
@media (max-width: 640px) {
  .tiles { grid-template-columns: repeat(2, 1fr); } .tile b { font-size: 1.3rem; }
  .device > summary { grid-template-columns: minmax(0, 1fr) auto; } .why, .count { grid-column: 1 / -1; } .why:empty { display: none; }
  input[type=search] { width: 100%; } .do { width: 100%; } .do button, .do select { flex: 1; min-height: 42px; } #toasts { inset: auto 4vw 1rem 4vw; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
`;
