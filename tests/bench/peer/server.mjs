// PostGraphile 5 as its documentation starts it in production: NODE_ENV=production node server.mjs
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { grafserv } from "postgraphile/grafserv/node";
import preset from "./graphile.config.mjs";

const server = createServer();
server.on("error", (error) => { throw error; });
await postgraphile(preset).createServ(grafserv).addTo(server);
server.listen(preset.grafserv.port, "127.0.0.1", () => console.log("up"));
