/** Times in Envoy's forms: strftime's specifiers, and `%f`, `%3f`, `%E3S` for parts of a second. Always UTC. */
import {
  isoSecond,
  microsecondOf,
  months,
  twoDigits,
  type UtcDate,
  utcDate,
  weekdays,
} from "../../../shared/base/utc.ts";

type Print = (date: UtcDate, wallMs: number) => string;

const spaced = (value: number): string => String(value).padStart(2, " ");
const hour12 = ({ hour }: UtcDate): number => (hour % 12 === 0 ? 12 : hour % 12);
const nanos = ({ nanosecond }: UtcDate): string => String(nanosecond).padStart(9, "0");
const clock = ({ hour, minute, second }: UtcDate): string =>
  `${twoDigits(hour)}:${twoDigits(minute)}:${twoDigits(second)}`;
const weekOfYear = ({ dayOfYear, weekday }: UtcDate, monday: number): string =>
  twoDigits(Math.floor((dayOfYear + 6 - ((weekday - monday + 7) % 7)) / 7));

const specifiers: Readonly<Record<string, Print>> = {
  Y: ({ year }) => String(year),
  C: ({ year }) => twoDigits(Math.floor(year / 100)),
  y: ({ year }) => twoDigits(year % 100),
  m: ({ month }) => twoDigits(month),
  d: ({ day }) => twoDigits(day),
  e: ({ day }) => spaced(day),
  j: ({ dayOfYear }) => String(dayOfYear).padStart(3, "0"),
  H: ({ hour }) => twoDigits(hour),
  k: ({ hour }) => spaced(hour),
  I: (date) => twoDigits(hour12(date)),
  l: (date) => spaced(hour12(date)),
  M: ({ minute }) => twoDigits(minute),
  S: ({ second }) => twoDigits(second),
  p: ({ hour }) => (hour < 12 ? "AM" : "PM"),
  P: ({ hour }) => (hour < 12 ? "am" : "pm"),
  a: ({ weekday }) => weekdays[weekday]?.slice(0, 3) ?? "",
  A: ({ weekday }) => weekdays[weekday] ?? "",
  b: ({ month }) => months[month - 1]?.slice(0, 3) ?? "",
  h: ({ month }) => months[month - 1]?.slice(0, 3) ?? "",
  B: ({ month }) => months[month - 1] ?? "",
  u: ({ weekday }) => String(weekday === 0 ? 7 : weekday),
  w: ({ weekday }) => String(weekday),
  U: (date) => weekOfYear(date, 0),
  W: (date) => weekOfYear(date, 1),
  D: ({ year, month, day }) => `${twoDigits(month)}/${twoDigits(day)}/${twoDigits(year % 100)}`,
  F: (date) => isoSecond(date).slice(0, -9),
  T: clock,
  R: (date) => clock(date).slice(0, 5),
  r: (date) => `${twoDigits(hour12(date))}${clock(date).slice(2)} ${date.hour < 12 ? "AM" : "PM"}`,
  X: clock,
  c: (date) =>
    `${weekdays[date.weekday]?.slice(0, 3)} ${months[date.month - 1]?.slice(0, 3)} ${spaced(date.day)} ${clock(date)} ${date.year}`,
  x: ({ year, month, day }) => `${twoDigits(month)}/${twoDigits(day)}/${twoDigits(year % 100)}`,
  s: (_, wallMs) => String(Math.floor(wallMs / 1000)),
  z: () => "+0000",
  Z: () => "UTC",
  t: () => "\t",
  "%": () => "%",
  f: nanos,
  Ez: () => "+00:00",
  "E*z": () => "+00:00:00",
  ET: () => "T",
  EY: ({ year }) => String(year),
  E4Y: ({ year }) => String(year).padStart(4, "0"),
};

function fraction(specifier: string): Print | undefined {
  const digits = /^([1-9])f$/.exec(specifier)?.[1];
  if (digits !== undefined) return (date) => nanos(date).slice(0, Number(digits));
  const exact = /^E([0-9*]{1,2})([Sf])$/.exec(specifier);
  if (exact === null) return undefined;
  const [, count = "", kind] = exact;
  return (date) => {
    const wanted =
      count === "*"
        ? nanos(date).replace(/0+$/, "")
        : nanos(date).padEnd(15, "0").slice(0, Number(count));
    if (kind === "f") return wanted === "" ? "0" : wanted;
    return `${twoDigits(date.second)}${wanted === "" ? "" : `.${wanted}`}`;
  };
}

const SPECIFIER = /%(E\*z|E4Y|E(?:\*|\d{1,2})[Sf]|E[zTY]|[1-9]f|[\s\S]?)/g;

/** Throws an Error for specifiers that do not exist. */
export function timeFormatter(format: string): (wallMs: number) => string {
  const parts: (string | Print)[] = [];
  let at = 0;
  for (const found of format.matchAll(SPECIFIER)) {
    const [whole, specifier = ""] = found;
    const print = Object.hasOwn(specifiers, specifier)
      ? specifiers[specifier]
      : fraction(specifier);
    if (print === undefined) throw new Error(`there is no time specifier "${whole}"`);
    parts.push(format.slice(at, found.index), print);
    at = found.index + whole.length;
  }
  parts.push(format.slice(at));
  return (wallMs) => {
    const date = utcDate(wallMs);
    let text = "";
    for (const part of parts) text += typeof part === "string" ? part : part(date, wallMs);
    return text;
  };
}

let printedSecond = Number.NaN;
let printedText = "";

/** `2026-11-21T12:00:00.123Z`: the default. In a busy second thousands of lines share all but the milliseconds. */
export function defaultTime(wallMs: number): string {
  const second = Math.floor(wallMs / 1000);
  if (second !== printedSecond) {
    printedText = `${isoSecond(utcDate(second * 1000))}.`;
    printedSecond = second;
  }
  return `${printedText}${String(Math.floor(microsecondOf(wallMs) / 1000)).padStart(3, "0")}Z`;
}
