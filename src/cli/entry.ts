/** Where the process begins; the only file with side effects at import. */
import { main, systemIo } from "./main.ts";

process.exitCode = await main(process.argv.slice(2), systemIo());
