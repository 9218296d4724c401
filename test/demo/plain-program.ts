import { connect } from '../../client/index.ts';

// A program that takes what comes.
const config = await connect<{ database: { password: string } }>({ name: 'web' });
console.log(`connected, revision ${config.snapshot.revision}`);
config.watch('database.password', () => console.log('has a new password'));
