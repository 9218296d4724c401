/** How a source's text is read. `text` is one value, as it is. */
export type Format = 'yaml' | 'json' | 'env' | 'text';
