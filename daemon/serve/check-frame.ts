import type { ToDaemon } from '../../schemas/wire.ts';
import { compileParts, readOwnSchema } from '../ops/own-schemas.ts';

/** Says what is wrong with the data of a frame from a program; `undefined` when it is as `wire.schema.json` says. */
export type CheckFrame = (type: keyof ToDaemon, data: unknown) => string | undefined;

/** Compiles each frame's schema at its first use. */
export function createFrameCheck(): CheckFrame {
  const partOf = compileParts(readOwnSchema('wire'));
  return (type, data) => {
    const validate = partOf(type);
    if (validate(data)) return undefined;
    const [error] = validate.errors!;
    return `${type}${error!.instancePath}: ${error!.message}`;
  };
}
