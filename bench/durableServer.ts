/** A server with a journal, for benchmarks that kill it: `durableServer.js DIRECTORY PORT` prints its url when it listens. */
import { asp, ParameterServer, sgd } from 'pslib';

const [dataDir = '', port = '0'] = process.argv.slice(2);
const server = new ParameterServer({
  parameters: { w: { shape: [1024] } },
  optimizer: sgd({ learningRate: 1 }),
  consistency: asp(),
  port: Number(port),
  dataDir,
});
await server.listen();
console.log(server.url);
