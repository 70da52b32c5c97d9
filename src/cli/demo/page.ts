/** The page: no frameworks, no requests to anywhere but its own server; text only ever set as text. */
export const pageHtml = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ambit demo</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --ok: #1a7f37; --bad: #cf222e; --tunnel: #0969da; --plain: #9a6700; }
  @media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --bad: #f85149; --tunnel: #58a6ff; --plain: #d29922; } }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem; }
  h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
  header { display: flex; justify-content: space-between; align-items: baseline; flex-wrap: wrap; }
  .nodes { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
  .node, table { border: 1px solid var(--line); border-radius: 8px; padding: .75rem 1rem; }
  .node h3 { margin: 0 0 .5rem; font-size: .95rem; }
  .pod { display: flex; gap: .75rem; font-variant-numeric: tabular-nums; }
  .pod b { min-width: 7rem; } .pod span { min-width: 7rem; opacity: .75; }
  table { border-collapse: separate; border-spacing: 0; width: 100%; }
  th { text-align: left; font-weight: 600; opacity: .7; } td, th { padding: .1rem .75rem .1rem 0; vertical-align: top; }
  .ok { color: var(--ok); } .bad { color: var(--bad); } .tunnel, .request { color: var(--tunnel); } .plain { color: var(--plain); }
  .off { opacity: .55; } ol { list-style: none; margin: 0; padding: 0; } li { padding: .15rem 0; }
  li small { display: block; opacity: .7; padding-left: 1.6rem; overflow-wrap: anywhere; } li i { display: inline-block; width: 1.6rem; font-style: normal; }
</style>
<header><h1>ambit demo</h1><div id="clock">waiting for the mesh</div></header>
<p id="note"></p>
<h2>World</h2><div class="nodes" id="nodes"></div>
<h2>Connections</h2><table><thead><tr><th>from</th><th>to</th><th>how</th><th>identity or request</th><th>count</th><th>outcome</th></tr></thead><tbody id="connections"></tbody></table>
<h2>Scenes</h2><ol id="scenes"></ol>
<script>
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const fill = (id, children) => document.getElementById(id).replaceChildren(...children);
  const row = (cells) => { const r = el("tr"); r.append(...cells); return r; };
  const node = (n) => {
    const box = el("div", "node");
    box.append(el("h3", "", n.name + "  " + n.ip + (n.ztunnel ? "  ztunnel " + n.ztunnel.name + ", " + Math.round(n.ztunnel.residentMb) + " MB" : "")));
    for (const p of n.pods) {
      const line = el("div", "pod");
      line.append(el("b", "", p.name), el("span", "", p.ip), p.waypointMb ? el("span", "tunnel", "waypoint, " + Math.round(p.waypointMb) + " MB") : el("span", p.inMesh ? "ok" : "off", p.inMesh ? "in the mesh" : "outside"));
      box.append(line);
    }
    return box;
  };
  const connection = (c) => row([el("td", "", c.from), el("td", "", c.to), el("td", c.how, c.how === "request" ? "waypoint" : c.how), el("td", "", c.identity || "none"),
    el("td", "", c.count), el("td", c.verdict === "ok" ? "ok" : "bad", c.why ? c.verdict + ": " + c.why : c.verdict)]);
  const scene = (s) => {
    const done = s.state === "done";
    const item = el("li", done ? "" : s.state === "playing" ? "" : "off");
    item.append(el("i", done ? (s.ok ? "ok" : "bad") : "", done ? (s.ok ? "\\u2713" : "\\u2717") : s.state === "playing" ? "\\u25B6" : "\\u00B7"), s.title);
    if (done) item.append(el("small", s.ok ? "" : "bad", s.detail));
    return item;
  };
  new EventSource("/state").onmessage = (event) => {
    const state = JSON.parse(event.data);
    const done = state.scenes.filter((s) => s.state === "done").length;
    document.getElementById("clock").textContent = done + " of " + state.scenes.length + " scenes, " + Math.round(state.elapsedSeconds) + " s";
    document.getElementById("note").textContent = state.note;
    fill("nodes", state.nodes.map(node));
    fill("connections", state.connections.slice(0, 15).map(connection));
    fill("scenes", state.scenes.map(scene));
  };
</script>
</html>
`;
