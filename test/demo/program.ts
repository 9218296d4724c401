import { connect } from '../../client/index.ts';

interface App {
  database: { url: string; poolSize: number };
  llm: { geminiApiKey: string; model: string };
}

// A program as a user would write it: it says what it runs by, and what it does when a part changes.
const name = process.argv[2] ?? 'program';
const config = await connect<App>({ name });
const hostOf = (url: string) => new URL(url).host;

console.log(`connected; database at ${hostOf(config.settings.database.url)}, revision ${config.snapshot.revision}`);
config.watch('database', (next, previous) => {
  console.log(`database moves from ${hostOf(previous.url)} to ${hostOf(next.url)}; reconnecting its pool`);
});
config.watch('llm.geminiApiKey', () => console.log('llm has a new API key; used from the next call on'));
