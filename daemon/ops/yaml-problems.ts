/** What a YAML parser's error code means, in words of our own: the parser's messages quote the document. */
export function describeYamlProblem(code: string): string {
  return problems[code] ?? `is not valid YAML: ${code.toLowerCase().replaceAll('_', ' ')}`;
}

const problems: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'a tab is used for indentation; YAML wants spaces',
  BAD_INDENT: 'the indentation does not fit what is above it',
  DUPLICATE_KEY: 'a key is given twice',
  MISSING_CHAR: 'a quote, bracket, comma or colon is missing',
  UNEXPECTED_TOKEN: 'something stands where it cannot, often a second value or a stray bracket',
  BAD_ALIAS: 'an alias names an anchor that is not there',
  BAD_DQ_ESCAPE: 'a backslash in double quotes starts no known escape; use single quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a nested mapping stands on one line; quote the value or indent it below',
  BLOCK_IN_FLOW: 'an indented block stands inside brackets',
  MULTILINE_IMPLICIT_KEY: 'a key runs over more than one line; a colon may be missing',
  MULTIPLE_DOCS: 'there is more than one document in the file',
  MULTIPLE_ANCHORS: 'a value has more than one anchor',
  MULTIPLE_TAGS: 'a value has more than one tag',
  NON_STRING_KEY: 'a key is not text; quote it',
  KEY_OVER_1024_CHARS: 'a key is over 1024 characters; a colon or a quote may be missing',
  TAG_RESOLVE_FAILED: 'a tag is not known',
  COMMENT_SPACE: 'a comment must be separated by a space',
  IMPOSSIBLE: 'is not valid YAML',
};
