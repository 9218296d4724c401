/** Parsers quote what they could not read: Node's for JSON, `yaml`, js-yaml, and whatever calls its error alike. */
const parsersErrors = /^(SyntaxError|\w*Pars(e|er|ing)Error|YAML\w*(Error|Exception|Warning)|Toml\w*Error)$/;
const places: readonly RegExp[] = [
  /at position (\d{1,9})(?: \(line (\d{1,9}) column (\d{1,9})\))?$/,
  /at line (\d{1,9}),? column (\d{1,9})\b/,
  /\((\d{1,9}):(\d{1,9})\)/,
];
/** What Node says of JSON, as a program may have passed it on as a text. */
const nodeOnJson = /Unexpected (?:token|non-whitespace|end|string|number)|\bin JSON\b|is not valid JSON/;

/**
 * What failed, as a message. Of a parser's error only its name and the place are told, also where another error has taken over
 * its words, for they quote the document.
 */
export function describeError(error: unknown): string {
  let message = error instanceof Error ? error.message : String(error);
  let inner = error;
  for (let depth = 0; depth < 5 && inner instanceof Error; depth++, inner = inner.cause)
    if (parsersErrors.test(inner.name)) message = message.replaceAll(inner.message, placeOf(inner.name, inner.message));
  return withoutParsersWords(message);
}

/** A message from elsewhere; where it has what Node says of JSON, only that and the place. */
export function withoutParsersWords(message: string): string {
  return nodeOnJson.test(message) ? placeOf('SyntaxError', message) : message;
}

function placeOf(name: string, message: string): string {
  const [byPosition, byLine, byPair] = places.map((pattern) => pattern.exec(message));
  const [line, column] = byPosition?.slice(2) ?? byLine?.slice(1) ?? byPair?.slice(1) ?? [];
  if (line !== undefined) return `${name} at line ${line} column ${column}`;
  return byPosition ? `${name} at position ${byPosition[1]}` : name;
}
