/** The page's looks. No backslash and no letter outside ASCII, so that it is the same text in every bundle. */
export const STYLE_CSS = `:root {
  --ground: #f3f5f7; --card: #ffffff; --ink: #14202b; --faint: #5b6b7a; --line: #dde3e9;
  --good: #15803d; --warn: #b45309; --bad: #b91c1c; --off: #64748b; --accent: #155e75;
  --req: #0e7490; --in: #7c3aed; --out: #0d9488; --shade: 0 1px 2px rgb(16 32 48 / .06), 0 2px 10px rgb(16 32 48 / .05);
}
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) {
  --ground: #0d1318; --card: #161f27; --ink: #e6edf3; --faint: #93a4b3; --line: #26333e;
  --good: #4ade80; --warn: #fbbf24; --bad: #f87171; --off: #94a3b8; --accent: #22a3c3;
  --req: #38bdf8; --in: #c084fc; --out: #2dd4bf; --shade: none;
} }
:root[data-theme=dark] {
  --ground: #0d1318; --card: #161f27; --ink: #e6edf3; --faint: #93a4b3; --line: #26333e;
  --good: #4ade80; --warn: #fbbf24; --bad: #f87171; --off: #94a3b8; --accent: #22a3c3;
  --req: #38bdf8; --in: #c084fc; --out: #2dd4bf; --shade: none; color-scheme: dark;
}
:root[data-theme=light] { color-scheme: light; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.15rem; margin: 0; letter-spacing: -.01em; } h2 { font-size: .8rem; margin: 1.6rem 0 .6rem; color: var(--faint); text-transform: uppercase; letter-spacing: .07em; }
p { margin: 0; } code { font-size: .92em; }
.faint { color: var(--faint); font-size: .86rem; }
.top { position: sticky; top: 0; z-index: 2; display: flex; align-items: center; gap: .7rem; padding: .7rem max(1rem, calc((100vw - 1080px) / 2 + 1rem)); background: var(--card); border-bottom: 1px solid var(--line); }
.mark { width: 34px; height: 34px; flex: none; } .mark rect { fill: var(--accent); } .mark path { fill: none; stroke: #fff; stroke-width: 3; stroke-linecap: round; }
.who { min-width: 0; flex: 1; } .who h1 { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.tools { display: flex; gap: .4rem; }
button { font: inherit; font-size: .86rem; min-height: 36px; padding: .3rem .75rem; color: var(--ink); background: transparent; border: 1px solid var(--line); border-radius: 8px; cursor: pointer; }
button:hover { border-color: var(--faint); } button.primary { background: var(--accent); border-color: var(--accent); color: #fff; font-weight: 600; min-height: 44px; width: 100%; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
main { max-width: 1080px; margin: 0 auto; padding: 1rem; }
.card, .verdict, .part, .endpoint, .conditions li, .events { background: var(--card); border: 1px solid var(--line); border-radius: 12px; box-shadow: var(--shade); }
.verdict { display: flex; align-items: center; gap: .9rem; padding: .9rem 1.1rem; }
.verdict strong { font-size: 1.1rem; } .verdict .age { margin-left: auto; text-align: right; white-space: nowrap; }
.lamp { width: 14px; height: 14px; border-radius: 50%; background: var(--off); flex: none; box-shadow: 0 0 0 4px color-mix(in srgb, currentColor 18%, transparent); color: var(--off); }
.ok .lamp { background: var(--good); color: var(--good); } .info .lamp { background: var(--off); color: var(--off); } .warning .lamp { background: var(--warn); color: var(--warn); } .error .lamp { background: var(--bad); color: var(--bad); }
.parts { display: grid; grid-template-columns: repeat(auto-fit, minmax(225px, 1fr)); gap: .8rem; margin-top: .8rem; }
.part { padding: .85rem 1rem; border-top: 3px solid var(--off); } .part.ok { border-top-color: var(--good); } .part.warning { border-top-color: var(--warn); } .part.error { border-top-color: var(--bad); }
.part h3 { margin: 0; font-size: .8rem; color: var(--faint); font-weight: 600; } .part p { font-weight: 600; overflow-wrap: anywhere; margin-bottom: .35rem; }
dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; font-size: .86rem; } dt { color: var(--faint); } dd { margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.conditions, .events { list-style: none; margin: 0; padding: 0; } .conditions { display: grid; gap: .5rem; }
.conditions li { padding: .7rem 1rem; border-left: 4px solid var(--off); } .conditions li.warning { border-left-color: var(--warn); } .conditions li.error { border-left-color: var(--bad); }
.conditions small { color: var(--faint); }
.endpoints { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: .8rem; }
.endpoint { padding: 1rem; min-width: 0; }
.endpoint header { display: flex; align-items: center; gap: .6rem; } .endpoint h3 { margin: 0; font-size: 1.05rem; }
.badge { font-size: .76rem; font-weight: 700; padding: .12rem .55rem; border-radius: 99px; color: var(--off); border: 1px solid currentColor; white-space: nowrap; } .badge.ok { color: var(--good); } .badge.warning { color: var(--warn); } .badge.error { color: var(--bad); }
.endpoint .lease { margin-left: auto; font-size: .86rem; font-variant-numeric: tabular-nums; text-align: right; }
.url { display: flex; gap: .5rem; align-items: center; margin: .35rem 0 .2rem; min-width: 0; } .url a { color: var(--accent); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0; } .url button { flex: none; min-height: 30px; padding: .1rem .55rem; }
.upstream { font-size: .86rem; color: var(--faint); } .upstream.down { color: var(--bad); }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: .5rem; margin: .8rem 0 .3rem; } .figures div { min-width: 0; } .figures b { display: block; font-size: 1.02rem; font-variant-numeric: tabular-nums; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; } .figures span { font-size: .74rem; color: var(--faint); }
.plots { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; } .plot { position: relative; min-width: 0; } .plot figcaption { display: flex; gap: .7rem; font-size: .74rem; color: var(--faint); } .plot figcaption i { font-style: normal; } .plot figcaption i::before { content: ""; display: inline-block; width: 9px; height: 3px; border-radius: 2px; margin-right: 4px; vertical-align: middle; background: currentColor; }
figure { margin: 0; } svg.curve { display: block; width: 100%; height: 68px; overflow: hidden; border-bottom: 1px solid var(--line); } svg.curve path { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke; stroke-linejoin: round; } svg.curve path.area { stroke: none; opacity: .16; } svg.curve line { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; stroke-dasharray: 3 4; }
.req { stroke: var(--req); color: var(--req); } .area.req { fill: var(--req); } .in { stroke: var(--in); color: var(--in); } .out { stroke: var(--out); color: var(--out); } .area.in { fill: var(--in); } .area.out { fill: var(--out); }
.scale { display: flex; justify-content: space-between; font-size: .7rem; color: var(--faint); font-variant-numeric: tabular-nums; }
.plot output { margin-left: auto; font-variant-numeric: tabular-nums; }
.events { padding: .2rem 0; } .events li { display: grid; grid-template-columns: 5.2rem minmax(8rem, auto) 1fr; gap: .2rem .8rem; padding: .4rem 1rem; font-size: .88rem; border-bottom: 1px solid var(--line); } .events li:last-child { border: 0; } .events time { color: var(--faint); font-variant-numeric: tabular-nums; } .events b { font-weight: 600; } .events span { color: var(--faint); overflow-wrap: anywhere; }
.login main { min-height: 100vh; display: grid; place-items: center; } .sign-in { width: min(100%, 360px); padding: 1.6rem; display: grid; gap: .8rem; } .sign-in label { font-size: .88rem; color: var(--faint); }
.sign-in input { font: inherit; font-size: 16px; width: 100%; min-height: 44px; padding: .5rem .7rem; color: var(--ink); background: var(--ground); border: 1px solid var(--line); border-radius: 8px; } .said { color: var(--bad); font-size: .88rem; }
@media (max-width: 560px) {
  main { padding: .8rem; } .top { padding: .6rem .8rem; } .parts { grid-template-columns: 1fr 1fr; gap: .6rem; } .part { padding: .7rem .8rem; } .part dl { gap: .1rem .4rem; font-size: .8rem; } .part dd { white-space: nowrap; }
  .verdict { flex-wrap: wrap; } .verdict div { flex: 1; min-width: 0; } .verdict .age { margin-left: 0; width: 100%; text-align: left; }
  .figures { grid-template-columns: 1fr 1fr; } .plots { grid-template-columns: 1fr; } .events li { grid-template-columns: 4.2rem 1fr; padding: .4rem .8rem; } .events li span { grid-column: 2; }
}
@media (prefers-reduced-motion: no-preference) { .error .lamp, .warning .lamp { animation: breathe 2s ease-in-out infinite; } @keyframes breathe { 50% { opacity: .45; } } }
`;
