/** The look of the page. */
export const pageStyle = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
svg { width: 100%; height: auto; } .label { text-anchor: end; font-size: 13px; } .value { font-size: 12px; fill: #51606f; }
.bar { fill: #9aa7b4; } .bar.ambit { fill: #1769aa; } .bar.ambit-waypoint { fill: #4aa3df; } .bar.ambit-workers { fill: #0d3f68; }
.bar.sidecars { fill: #c96f1e; } .bar.envoy-waypoint { fill: #e0a458; } .bar.ztunnel { fill: #5b8c3a; }
.spread { stroke: #1c2733; stroke-width: 2; } h2 { margin: 2.2rem 0 0; } h3 { margin: .8rem 0 .2rem; font-size: 1rem; }
small { color: #51606f; font-weight: normal; } .again { margin: .1rem 0 .6rem; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; } td, th { padding: .2rem .7rem; border-bottom: 1px solid #d7dee5; text-align: right; }
td:first-child, th:first-child { text-align: left; } code { background: #eef2f5; padding: .1rem .3rem; font-size: 12px; }
`;
