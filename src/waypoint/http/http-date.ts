/** The Date field (RFC 9110 section 5.6.7), made once a second. */
import type { Clock } from "../../shared/base/clock.ts";

const weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const dayMs = 86_400_000;

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
  const days = Math.floor(wallMs / dayMs);
  const seconds = Math.floor((wallMs - days * dayMs) / 1000);
  const { year, month, day } = civil(days);
  const time = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const weekday = weekdays[((days % 7) + 7) % 7];
  return `${weekday}, ${two(day)} ${months[month]} ${year} ${time.map(two).join(":")} GMT`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}

/** Days since 1970-01-01 in the Gregorian calendar; years begin in March here, so that the leap day is the last. */
function civil(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) /
      365,
  );
  const ofYear =
    ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * ofYear + 2) / 153);
  const month = (shiftedMonth + 2) % 12;
  const year = yearOfEra + era * 400 + (month < 2 ? 1 : 0);
  return { year, month, day: ofYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 };
}
