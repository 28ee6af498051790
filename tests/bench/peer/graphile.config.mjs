// The peer: PostGraphile 5 with its Amber preset over the same tables, request roles and row-level security.
// Headers stand for the claims of a verified token, so the peer pays for no verification.
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makePgService } from "postgraphile/adaptors/pg";

const roles = { MEMBER: "app_member", OBSERVER: "app_observer", ADMIN: "app_admin", AUDITOR: "app_auditor" };

export default {
  extends: [PostGraphileAmberPreset],
  // The messages of a conversation are indexed by conversation and time, not by the whole foreign key: it would hide them.
  disablePlugins: ["PgIndexBehaviorsPlugin"],
  pgServices: [
    makePgService({
      connectionString: process.env.PEER_DATABASE_URL,
      schemas: ["app", "peer"],
      poolConfig: { max: 10 },
    }),
  ],
  grafast: {
    explain: false,
    context(requestContext) {
      const headers = requestContext.node?.req?.headers ?? {};
      return {
        pgSettings: {
          role: roles[headers["x-role"]] ?? "app_member",
          "app.organization_id": headers["x-organization"] ?? "",
          "app.user_id": headers["x-user"] ?? "",
          "app.actor_id": headers["x-user"] ?? "",
        },
      };
    },
  },
  grafserv: { port: Number(process.env.PEER_PORT), graphqlPath: "/graphql", watch: false, graphiql: false },
};
