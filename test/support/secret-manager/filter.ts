import { StatusError } from './status.ts';

/** The part of Google's list filters that is used here: `field=value` and `field:part`, joined by AND. */
export function matches(filter: string, fieldValue: (field: string) => string | undefined): boolean {
  const terms = filter.trim() === '' ? [] : filter.trim().split(/\s+AND\s+/);
  return terms.every((term) => {
    const [, field, operator, value] = /^([\w.-]+)([:=])"?([^"]*)"?$/.exec(term) ?? [];
    if (!field) throw new StatusError('INVALID_ARGUMENT', 'The filter is invalid.');
    const found = fieldValue(field);
    if (operator === '=') return found === value;
    return found !== undefined && (value === '*' || found.includes(value!));
  });
}
