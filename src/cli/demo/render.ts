/** The picture as lines of a terminal. Pure: the same state, width and height give the same text. */
import type { ConnectionView, NodeView, PictureState, SceneView } from "./picture.ts";

export interface RenderOptions {
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
}

type Style = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

const codes: Readonly<Record<Style, string>> = {
  bold: "1",
  dim: "2",
  green: "32",
  red: "31",
  yellow: "33",
  cyan: "36",
};

type Paint = (style: Style, text: string) => string;

function fit(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}~` : text.padEnd(width);
}

/** Painted text of an exact width; the padding stays unpainted, so that it can be trimmed. */
function cell(text: string, width: number, paint: (text: string) => string): string {
  const fitted = fit(text, width).trimEnd();
  return paint(fitted) + " ".repeat(Math.max(0, width - fitted.length));
}

function nodeLines(node: NodeView, width: number, paint: Paint): string[] {
  const { ztunnel } = node;
  const proxy = ztunnel === undefined ? "" : `${ztunnel.name} ${ztunnel.residentMb.toFixed(0)} MB`;
  return [
    cell(`${node.name} ${node.ip}  ${proxy}`, width - 1, (text) => paint("bold", text)).concat(" "),
    ...node.pods.map((pod) => {
      const text = `  ${pod.name.padEnd(11)} ${pod.ip.padEnd(11)} `;
      const { inMesh, waypointMb } = pod;
      const style = waypointMb !== undefined ? "cyan" : inMesh ? "green" : "dim";
      const state =
        waypointMb !== undefined
          ? `L7 ${waypointMb.toFixed(0)} MB`
          : inMesh
            ? "in mesh"
            : "outside";
      return text + cell(state, width - text.length, (word) => paint(style, word));
    }),
  ];
}

/** Nodes beside each other. */
function worldLines(nodes: readonly NodeView[], columns: number, paint: Paint): string[] {
  const width = Math.floor(columns / Math.max(1, nodes.length));
  const blocks = nodes.map((node) => nodeLines(node, width, paint));
  const height = Math.max(0, ...blocks.map((block) => block.length));
  return Array.from({ length: height }, (_, row) =>
    blocks
      .map((block) => block[row] ?? " ".repeat(width))
      .join("")
      .trimEnd(),
  );
}

/** One line; a connection that did not go well takes a second one, because the reason needs room. */
function connectionLines(connection: ConnectionView, columns: number, paint: Paint): string[] {
  const { from, to, how, identity, verdict, why, count } = connection;
  const who = `  ${from.padEnd(10)} -> ${to.padEnd(11)} `;
  const as =
    how === "plain" ? "plain" : `${how === "tunnel" ? "tunnel as" : "waypoint"} ${identity}`;
  const style = verdict === "ok" ? "green" : "red";
  const line =
    who +
    cell(as, 24, (text) => paint(how === "plain" ? "yellow" : "cyan", text)) +
    `${count}x`.padEnd(8) +
    paint(style, verdict);
  if (why === "") return [line];
  const reason = verdict === "denied" ? `by ${why}` : why;
  return [line, paint(style, fit(`      ${reason}`, columns).trimEnd())];
}

function sceneLines(scene: SceneView, columns: number, paint: Paint): string[] {
  if (scene.state !== "done") {
    const sign = scene.state === "playing" ? ">>" : "  ";
    const line = fit(` ${sign} ${scene.title}`, columns).trimEnd();
    return [scene.state === "playing" ? paint("bold", line) : paint("dim", line)];
  }
  const sign = scene.ok ? paint("green", "ok") : paint("red", "!!");
  const detail = fit(`      ${scene.detail.split("\n")[0]}`, columns).trimEnd();
  return [
    ` ${sign} ${fit(scene.title, columns - 4).trimEnd()}`,
    scene.ok ? paint("dim", detail) : paint("red", detail),
  ];
}

/** Scenes around the one that plays: what was last seen, and what comes next. */
function stageLines(
  scenes: readonly SceneView[],
  columns: number,
  room: number,
  paint: Paint,
): string[] {
  const done = scenes.filter(({ state }) => state === "done");
  const ahead = scenes.filter(({ state }) => state !== "done");
  const failed = done.filter((scene) => scene.state === "done" && !scene.ok);
  const next = ahead.slice(0, 2).flatMap((scene) => sceneLines(scene, columns, paint));
  const past = [...new Set([...failed, ...done.slice(-room)])]
    .sort((left, right) => done.indexOf(left) - done.indexOf(right))
    .flatMap((scene) => sceneLines(scene, columns, paint));
  return [...past.slice(-Math.max(0, room - next.length)), ...next];
}

/** At most `rows` lines. */
export function renderPicture(state: PictureState, options: RenderOptions): string[] {
  const { columns, rows, color } = options;
  const paint: Paint = (style, text) => (color ? `\x1b[${codes[style]}m${text}\x1b[0m` : text);
  const done = state.scenes.filter(({ state: how }) => how === "done").length;
  const clock = `${done}/${state.scenes.length} scenes  ${Math.round(state.elapsedSeconds)} s`;
  const title = "ambit demo: a mesh in network namespaces";
  const head = [
    paint("bold", title) + clock.padStart(Math.max(1, columns - title.length)),
    fit(state.note, columns).trimEnd(),
    ...worldLines(state.nodes, columns, paint),
    "",
    paint("bold", "Connections"),
  ];
  const forConnections = Math.max(3, Math.min(8, Math.floor((rows - head.length) / 3)));
  const connections = state.connections
    .flatMap((connection) => connectionLines(connection, columns, paint))
    .slice(0, forConnections);
  const top = [...head, ...connections, "", paint("bold", "Scenes")];
  return [
    ...top,
    ...stageLines(state.scenes, columns, Math.max(2, rows - top.length), paint),
  ].slice(0, rows);
}
