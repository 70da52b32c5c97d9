/** %START_TIME(..)%: strftime's language with Envoy's fractions (%3f); UTC. */
import {
  isoSecond,
  months,
  twoDigits,
  type UtcDate,
  utcDate,
  weekdays,
} from "../../shared/base/utc.ts";

const pattern = /%(?:([1-9]?)([a-zA-Z%])|.)/g;

type Conversion = (date: UtcDate, wallMs: number) => string;

const clock: Conversion = ({ hour, minute, second }) =>
  `${twoDigits(hour)}:${twoDigits(minute)}:${twoDigits(second)}`;
const day: Conversion = ({ year, month, day: ofMonth }) =>
  `${year}-${twoDigits(month)}-${twoDigits(ofMonth)}`;

const conversions: Readonly<Record<string, Conversion>> = {
  Y: ({ year }) => String(year),
  y: ({ year }) => twoDigits(year % 100),
  m: ({ month }) => twoDigits(month),
  d: ({ day: ofMonth }) => twoDigits(ofMonth),
  e: ({ day: ofMonth }) => String(ofMonth).padStart(2),
  H: ({ hour }) => twoDigits(hour),
  I: ({ hour }) => twoDigits(hour % 12 || 12),
  p: ({ hour }) => (hour < 12 ? "AM" : "PM"),
  M: ({ minute }) => twoDigits(minute),
  S: ({ second }) => twoDigits(second),
  j: ({ dayOfYear }) => String(dayOfYear).padStart(3, "0"),
  a: ({ weekday }) => (weekdays[weekday] ?? "").slice(0, 3),
  A: ({ weekday }) => weekdays[weekday] ?? "",
  b: ({ month }) => (months[month - 1] ?? "").slice(0, 3),
  B: ({ month }) => months[month - 1] ?? "",
  s: (_date, wallMs) => String(Math.floor(wallMs / 1000)),
  z: () => "+0000",
  Z: () => "UTC",
  T: clock,
  F: day,
  "%": () => "%",
};

/** Undefined or empty: ISO with milliseconds. */
export function formatStartTime(wallMs: number, format: string | undefined): string {
  const date = utcDate(wallMs);
  if (format === undefined || format === "") return `${isoSecond(date)}.${fraction(date, 3)}Z`;
  return format.replace(pattern, (whole, digits: string, letter: string) => {
    if (letter === "f") return fraction(date, digits === "" ? 9 : Number(digits));
    return conversions[letter]?.(date, wallMs) ?? whole;
  });
}

function fraction({ nanosecond }: UtcDate, digits: number): string {
  return String(nanosecond).padStart(9, "0").slice(0, digits);
}

/** The first conversion that is not known here, for a refusal. */
export function unknownConversion(format: string): string | undefined {
  for (const [whole, digits, letter] of format.matchAll(pattern)) {
    if (letter === "f") continue;
    if (letter === undefined || digits !== "" || !Object.hasOwn(conversions, letter)) return whole;
  }
  return format.endsWith("%") && !format.endsWith("%%") ? "%" : undefined;
}
