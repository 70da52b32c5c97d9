/**
 * Gives back what the C library's allocator keeps. Each thread has an arena of its own, which by itself shrinks only from its
 * end: after the first seconds under load those of V8's compiler threads hold some 20 MB of nothing (malloc_trim(3)).
 */
import koffi from "koffi";

let trim: ((pad: number) => number) | undefined;

/** Takes three milliseconds when there is much to give back, else less than one. Does nothing where the C library has no such call. */
export function trimAllocator(): void {
  trim ??= bindTrim();
  trim(0);
}

function bindTrim(): (pad: number) => number {
  try {
    return koffi.load(null).func("int malloc_trim(size_t)");
  } catch {
    return () => 0;
  }
}
