type Bracketed = '' | `${string}${'.' | '[' | ']' | ' '}${string}`;
/** A key that would have to be escaped inside quotes; types cannot do that, so it is not offered. */
type Escaped = `${string}"${string}`;
/** A key at the beginning of a path; an empty one, and one with a dot, a bracket or a space is `["so.written"]`. */
type First<Key extends string> = Key extends Escaped ? never : Key extends Bracketed ? `["${Key}"]` : Key;
/** A key further down. */
type Next<Key extends string> = Key extends Escaped ? never : Key extends Bracketed ? `["${Key}"]` : `.${Key}`;

/** What can follow a path, to some levels more. */
type Below<T, Levels extends unknown[]> = string extends keyof T
  ? `.${string}` | `[${string}`
  : Levels extends [unknown, ...infer Left]
    ? T extends readonly unknown[]
      ? never
      : T extends object
        ? { [Key in keyof T & string]: Next<Key> | `${Next<Key>}${Below<NonNullable<T[Key]>, Left>}` }[keyof T & string]
        : never
    : never;

/**
 * The paths of an application's settings, to six levels: `'database'`, `'database.url'`, `'hosts["a.b"].port'`. Any text
 * where the type is open.
 */
export type PathOf<T> = string extends keyof T
  ? string
  : {
      [Key in keyof T & string]: First<Key> | `${First<Key>}${Below<NonNullable<T[Key]>, [0, 0, 0, 0, 0]>}`;
    }[keyof T & string];

/** A path that is known only when the program runs: `config.get(name as Path)`. What is there is not known either. */
export type Path = string & { readonly [path]: true };
declare const path: unique symbol;

/** The first key of a path, and the rest of it. */
type Split<P extends string> = P extends `["${infer Key}"]${infer Rest}`
  ? [Key, Rest extends `.${infer Next}` ? Next : Rest]
  : P extends `${infer Key}.${infer Rest}`
    ? Key extends `${infer Before}[${infer Behind}`
      ? [Before, `[${Behind}.${Rest}`]
      : [Key, Rest]
    : P extends `${infer Key}[${infer Rest}`
      ? [Key, `[${Rest}`]
      : [P, ''];

type Step<T, Key> = Key extends keyof T ? (string extends keyof T ? T[Key] | undefined : T[Key]) : unknown;
type Maybe<T> = undefined extends T ? undefined : null extends T ? undefined : never;

/** The type of what is at a path; `undefined` too, where a step on the way is optional. */
export type ValueAt<T, P extends string> =
  Split<P> extends [infer Key, infer Rest extends string]
    ? Rest extends ''
      ? Step<T, Key>
      : ValueAt<NonNullable<Step<T, Key>>, Rest> | Maybe<Step<T, Key>>
    : unknown;
