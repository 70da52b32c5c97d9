/** Values as text, the way the reference prints them into labels and log lines. */
import { isoSecond, utcDate } from "../../../shared/base/utc.ts";
import { CelDuration, CelMap, CelTimestamp, type CelValue } from "./value.ts";

const utf8 = new TextDecoder();

export function printValue(value: CelValue): string {
  switch (typeof value) {
    case "string":
      return value;
    case "boolean":
    case "bigint":
      return String(value);
    case "number":
      return printDouble(value);
    default:
      return printObject(value);
  }
}

function printObject(value: Exclude<CelValue, string | boolean | bigint | number>): string {
  if (value === null) return "NULL";
  if (value instanceof Uint8Array) return utf8.decode(value);
  if (value instanceof CelDuration) return printDuration(value.ms);
  if (value instanceof CelTimestamp) return printTimestamp(value.wallMs);
  return value instanceof CelMap ? "map value" : "list value";
}

/** Six significant digits, as absl::StrCat prints a double (printf's %g). */
function printDouble(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [digits = "", power = "0"] = value.toExponential(5).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return trimZeros(value.toFixed(5 - exponent));
  const sign = exponent < 0 ? "-" : "+";
  return `${trimZeros(digits)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** As absl::FormatDuration: "1h2m3.5s", below a second in ms, us or ns. */
function printDuration(ms: number): string {
  if (ms === 0) return "0";
  const sign = ms < 0 ? "-" : "";
  const nanos = Math.round(Math.abs(ms) * 1e6);
  if (nanos < 1_000_000_000) {
    if (nanos >= 1_000_000) return `${sign}${nanos / 1e6}ms`;
    return nanos >= 1000 ? `${sign}${nanos / 1000}us` : `${sign}${nanos}ns`;
  }
  const seconds = nanos / 1e9;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = Math.round((seconds % 60) * 1e9) / 1e9;
  return `${sign}${hours > 0 ? `${hours}h` : ""}${minutes > 0 ? `${minutes}m` : ""}${rest > 0 ? `${rest}s` : ""}`;
}

/** As absl::FormatTime in UTC: RFC 3339 with as many digits of the second as there are. */
function printTimestamp(wallMs: number): string {
  const date = utcDate(wallMs);
  const digits = String(date.nanosecond).padStart(9, "0").replace(/0+$/, "");
  return `${isoSecond(date)}${digits === "" ? "" : `.${digits}`}+00:00`;
}
