import type { OpenFace } from '../face.ts';

/** Every face by its name; its module is loaded when it is opened, so that others do not count as reached. */
export const faces: Readonly<Record<string, OpenFace>> = {
  ipc: async () => (await import('./ipc.ts')).ipcFace(),
  http: async () => (await import('./http.ts')).httpFace(),
  yaml: async () => (await import('./yaml.ts')).yamlFace(),
  json: async () => (await import('./json.ts')).jsonFace(),
  env: async () => (await import('./env.ts')).envFace(),
  options: async () => (await import('./options.ts')).optionsFace(),
  pubsub: async () => (await import('./pubsub.ts')).pubsubFace(),
  sealed: async () => (await import('./sealed.ts')).sealedFace(),
};
