import { isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { pathOfName } from '../../schemas/environment.ts';
import { formatPath, type Path } from '../../schemas/paths.ts';
import type { Format } from '../model/format.ts';

/** A longer text would hold up the event loop for a number that is only a help. */
const maxCharacters = 32 * 1024;

/** The line, from 1, on which a document says what is at a path, or what is nearest above it; `undefined` where none does. */
export function lineOfPath(text: string, format: Format, path: Path): number | undefined {
  if (text.length > maxCharacters || path.length === 0) return undefined;
  if (format === 'text') return 1;
  return format === 'env' ? lineOfVariable(text, path) : lineOfKey(text, path);
}

/** By its name without any prefix: what is mapped otherwise is not found. */
function lineOfVariable(text: string, path: Path): number | undefined {
  const wanted = formatPath(path);
  const lines = text.split('\n');
  const isIt = (line: string) => {
    const [, name] = /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=/.exec(line) ?? [];
    const words = name?.split('_') ?? [];
    return words.some((_, i) => formatPath(pathOfName(words.slice(i).join('_')) ?? []) === wanted);
  };
  const found = lines.findIndex(isIt);
  return found === -1 ? undefined : found + 1;
}

function lineOfKey(text: string, path: Path): number | undefined {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: false, prettyErrors: false, logLevel: 'silent' });
  for (let length = path.length; length > 0; length--) {
    const holder = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const pair = isMap(holder)
      ? holder.items.find(({ key }) => isScalar(key) && String(key.value) === path[length - 1])
      : undefined;
    if (pair && isNode(pair.key)) return lineCounter.linePos(pair.key.range?.[0] ?? 0).line;
  }
  return undefined;
}
