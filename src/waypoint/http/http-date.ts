/** The Date field (RFC 9110 section 5.6.7), made once a second. */
import type { Clock } from "../../shared/base/clock.ts";
import { months, twoDigits, utcDate, weekdays } from "../../shared/base/utc.ts";

let madeForSecond = -1;
let made = "";

export function httpDate(clock: Clock): string {
  const second = Math.floor(clock.wallMs() / 1000);
  if (second !== madeForSecond) {
    madeForSecond = second;
    made = formatHttpDate(second * 1000);
  }
  return made;
}

export function formatHttpDate(wallMs: number): string {
  const date = utcDate(wallMs);
  const weekday = weekdays[date.weekday]?.slice(0, 3);
  const month = months[date.month - 1]?.slice(0, 3);
  const time = [date.hour, date.minute, date.second].map(twoDigits).join(":");
  return `${weekday}, ${twoDigits(date.day)} ${month} ${date.year} ${time} GMT`;
}
