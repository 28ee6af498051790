"""The wire. It may import db, never the reverse. In the order in which a request meets the files:

    app         create_app: routes, lifespan, health, the page for browsers
    settings    environment → frozen dataclass, the only reader of os.environ
    http, body  GraphQL over HTTP: negotiation, statuses; bytes → request, read strictly
    auth        credential → Actor: who you are, nothing about what you may
    operation   one operation: document, transaction, execution, reads on record, mask
    documents   parse, analyse, validate: once per document
    analysis    the look before validation: depth, aliases, repeats, cost; limits says how much of each
    execution/  the breadth-first engine; knows no entity
    schema      ENTITIES → Query, Mutation; the only registry
    context     Context(actor, transaction, loaders, clock), one per operation
    entities/   one file per GraphQL entity: type, filter, order, its part of Query
    changes/    one file per entity that people change: inputs, payloads, its part of Mutation
    node        global ids and sources; connection, cursor, filters, enums, scalars: the vocabulary of entities
    loaders     single nodes: every edge is one statement per level; registry: which source reads an id
    change      a change: effect and audit in one transaction, idempotency; rows, payload: its vocabulary
    permissions who may read and change what: a change's right, and the SDL's directives; schema_changes: what a schema breaks
    errors      the drawn tree of errors and their codes
    cli/        `minutebook`
    readme      the README's generated tables

What it reads is decided in db: `policies` says who may, `session` begins as the caller, `statement` compiles once.
"""
