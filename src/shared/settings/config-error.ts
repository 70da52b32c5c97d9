/** A start that cannot be: all problems of the settings at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Cannot read the configuration: ${problems.join("; ")}`);
    this.problems = problems;
  }
}
