"""The wire. It may import db, never the reverse. In the order in which a request meets the files:

    app         create_app: routes, lifespan, health, GraphiQL
    settings    environment → frozen dataclass, the only reader of os.environ
    http        GraphQL over HTTP: negotiation, statuses, bodies
    auth        credential → Actor: who you are, nothing about what you may
    limits      what one caller may take
    analysis    a look at the document before it is validated: depth, aliases, repeats, cost
    schema      ENTITIES → Query, Mutation, Subscription; the only registry
    context     Context(actor, transaction, loaders, clock), one per operation
    entities/   one file per GraphQL entity: type, filter, order, its part of Query
    node        global ids; connection, cursor, filters, scalars: the vocabulary of every entity
    loaders     every edge is one statement per level
    errors      the drawn tree of errors and their codes
    audit       reads that are on record
    graphiql/   the page at GET /graphql
    cli/        `minutebook`: run, serve, migrate, seed, token, organization, member, maintain, schema, doctor

What it reads is decided in db: `policies` says who may, `session` begins as the caller, `statement` compiles once.
"""
