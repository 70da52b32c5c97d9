/** Where the picture goes: a terminal that is painted over, plain lines, or nowhere but the page. */
import type { Display } from "./inside.ts";
import type { PictureState } from "./picture.ts";
import { renderPicture } from "./render.ts";
import type { Check } from "./scene.ts";

export interface Terminal {
  readonly write: (text: string) => void;
  readonly columns: () => number;
  readonly rows: () => number;
  readonly color: boolean;
}

const ENTER_ALTERNATE = "\x1b[?1049h\x1b[?25l";
const LEAVE_ALTERNATE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/** One line a check, as soon as it is known. */
function checkLine(check: Check, title: string): string {
  return `${check.ok ? "ok     " : "FAILED "} ${title}\n         ${check.detail}\n`;
}

/** Paints the picture in place and leaves the list of checks behind. */
export class PaintedDisplay implements Display {
  readonly #terminal: Terminal;
  readonly #lines: string[] = [];
  #painted = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(state: PictureState): void {
    const { write, columns, rows, color } = this.#terminal;
    if (!this.#painted) write(ENTER_ALTERNATE);
    this.#painted = true;
    const lines = renderPicture(state, { columns: columns(), rows: rows() - 1, color });
    write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}\n`).join("")}${CLEAR_BELOW}`);
  }

  sceneDone(check: Check, title: string): void {
    this.#lines.push(checkLine(check, title));
  }

  note(): void {
    // It stands in the picture.
  }

  close(): void {
    if (this.#painted) this.#terminal.write(LEAVE_ALTERNATE);
    this.#terminal.write(this.#lines.join(""));
  }
}

/** For pipes and logs. */
export class PlainDisplay implements Display {
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  show(): void {
    // The checks tell the story here; a picture several times a second would only fill a log.
  }

  sceneDone(check: Check, title: string): void {
    this.#write(checkLine(check, title));
  }

  note(text: string): void {
    this.#write(`${text}\n`);
  }

  close(): void {
    // Nothing was opened.
  }
}

/** Passes the picture on to the process outside, which serves the page. */
export class RelayedDisplay implements Display {
  readonly #inner: Display;
  readonly #send: (state: PictureState) => void;

  constructor(inner: Display, send: (state: PictureState) => void) {
    this.#inner = inner;
    this.#send = send;
  }

  show(state: PictureState): void {
    this.#inner.show(state);
    this.#send(state);
  }

  sceneDone(check: Check, title: string): void {
    this.#inner.sceneDone(check, title);
  }

  note(text: string): void {
    this.#inner.note(text);
  }

  close(): void {
    this.#inner.close();
  }
}
