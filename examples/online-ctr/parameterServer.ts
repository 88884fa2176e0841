/** The parameter server, as a process of its own that may be killed: its state is in a journal. */
import { asp, ParameterServer } from 'pslib';
import { parameters, tables } from './model.js';

const server = new ParameterServer({
  parameters,
  tables,
  consistency: asp(),
  port: Number(process.env.CTR_SERVER_PORT),
  dataDir: process.env.CTR_DATA_DIR as string,
  durability: 'journal-async',
  seed: 1,
});
await server.listen();
process.send?.({ kind: 'listening', url: server.url });
process.on('disconnect', () => process.exit());
