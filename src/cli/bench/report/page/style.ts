/** The look of the page, on light and dark screens, wide and narrow ones, and on paper. */
export const pageStyle = `
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2733; --soft: #526170; --line: #d7dee5; --code: #eef2f5;
  --better: #cfe6f7; --worse: #fbdcc4; --direct: #9aa7b4; --ambit: #3d85c6; --ambit-workers: #8c97e0;
  --ambit-waypoint: #67b7e6; --envoy-waypoint: #ecbe84; --sidecars: #de8a3a; --ztunnel: #7cb45c; }
@media (prefers-color-scheme: dark) { :root { --paper: #14191f; --ink: #e4e9ee; --soft: #9dabb8; --line: #2f3943; --code: #212931;
  --better: #173f5c; --worse: #5c3417; --direct: #56616c; --ambit: #2a649c; --ambit-workers: #515aa3;
  --ambit-waypoint: #2f7fae; --envoy-waypoint: #94703f; --sidecars: #a35f1f; --ztunnel: #4b7a33; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1.2rem 1rem 4rem; background: var(--paper); color: var(--ink); }
h1 { font-size: 1.7rem; margin: 0 0 .4rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .2rem; } h2 small { font-weight: normal; margin-left: .4rem; } ul { margin: .3rem 0; padding-left: 1.2rem; }
p { margin: .3rem 0; max-width: 62rem; } .again { max-width: none; } a { color: inherit; } nav { margin: 1.2rem 0; line-height: 1.8; } nav a { margin-right: .8rem; white-space: nowrap; }
.lead { font-size: 1.05rem; } small, .soft { color: var(--soft); font-size: .84rem; }
code { background: var(--code); padding: .1rem .3rem; font-size: 12px; overflow-wrap: anywhere; user-select: all; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; margin: .5rem 0; font-variant-numeric: tabular-nums; }
td, th { padding: .22rem .6rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; white-space: nowrap; }
th { font-weight: 600; } td.text { text-align: left; white-space: normal; }
tr > :first-child { text-align: left; padding-left: 0; position: sticky; left: 0; background: var(--paper); }
tbody th { font-weight: normal; white-space: normal; min-width: 7rem; } td small, th small { display: block; font-size: .88em; }
tr.group th { font-weight: 600; padding-top: .7rem; } .first { border-left: 2px solid var(--line); }
.better { background: var(--better); } .worse { background: var(--worse); } p .better, p .worse { padding: 0 .3rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 23.4rem), 1fr)); gap: .4rem 2rem; }
.plot { margin: .5rem 0; break-inside: avoid; } figcaption { font-weight: 600; margin-bottom: .15rem; } figcaption small { font-weight: normal; }
.row { display: grid; grid-template-columns: 6.8rem 1fr 8.4rem; align-items: center; gap: .5rem; font-size: 13px; line-height: 1.55; }
.name { text-align: right; } .value small { font-size: .95em; } .value { font-variant-numeric: tabular-nums; white-space: nowrap; } .track { position: relative; height: 1rem; }
.bar { position: absolute; inset: 0 auto 0 0; min-width: 1px; border-radius: 0 2px 2px 0; print-color-adjust: exact; background: var(--direct); }
.spread { position: absolute; top: .25rem; height: .5rem; border: solid var(--ink); border-width: 0 1.5px; min-width: 3px; print-color-adjust: exact;
  background: linear-gradient(var(--ink), var(--ink)) center / 100% 1.5px no-repeat; }
.ambit { background: var(--ambit); } .ambit-workers { background: var(--ambit-workers); } .ambit-waypoint { background: var(--ambit-waypoint); }
.sidecars { background: var(--sidecars); } .envoy-waypoint { background: var(--envoy-waypoint); } .ztunnel { background: var(--ztunnel); }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--soft); } li { margin: .15rem 0; }
@media (max-width: 40rem) { body { padding: .8rem .8rem 3rem; } h1 { font-size: 1.4rem; } .lead { font-size: 1rem; }
  td, th { padding: .2rem .3rem; } table { font-size: 12.5px; } .row { grid-template-columns: 6.2rem 1fr 8.3rem; gap: .4rem; font-size: 12px; } }
`;
