"""People and the identities that their tokens carry.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0005_user"
down_revision = "0004_organization"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.users (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    display_name TEXT,
    role TEXT NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    erased_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_users_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT ck_users_role CHECK (role IN ('MEMBER', 'OBSERVER', 'ADMIN', 'AUDITOR')),
    CONSTRAINT ck_users_display_name_length CHECK (char_length(display_name) <= 255),
    CONSTRAINT ck_users_not_negative CHECK (epoch >= 0)
);
CREATE INDEX ix_users_created_at_id
    ON app.users (organization_id, created_at DESC, id DESC);
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.users');
CREATE POLICY users_select_member ON app.users
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY users_select_observer ON app.users
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY users_select_admin ON app.users
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY users_select_auditor ON app.users
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY users_select_service ON app.users
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY users_insert_service ON app.users
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND role IN ('MEMBER', 'OBSERVER'));
CREATE POLICY users_update_service ON app.users
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND role IN ('MEMBER', 'OBSERVER'))
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND role IN ('MEMBER', 'OBSERVER'));
CREATE POLICY users_select_definer ON app.users
    FOR SELECT TO app_definer
    USING (true);
CREATE POLICY users_select_operator ON app.users
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY users_insert_operator ON app.users
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY users_update_operator ON app.users
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY users_delete_operator ON app.users
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.users TO app_member;
GRANT SELECT ON app.users TO app_observer;
GRANT SELECT ON app.users TO app_admin;
GRANT SELECT ON app.users TO app_auditor;
GRANT SELECT ON app.users TO app_service;
GRANT INSERT (organization_id, id, display_name, role) ON app.users TO app_service;
GRANT UPDATE (display_name, role) ON app.users TO app_service;
GRANT SELECT ON app.users TO app_definer;
GRANT SELECT ON app.users TO minutebook_operator;
GRANT INSERT ON app.users TO minutebook_operator;
GRANT UPDATE ON app.users TO minutebook_operator;
GRANT DELETE ON app.users TO minutebook_operator;

CREATE TABLE app.identities (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_identities PRIMARY KEY (organization_id, id),
    CONSTRAINT uq_identities_issuer_subject UNIQUE (organization_id, issuer, subject),
    CONSTRAINT fk_identities_user_id FOREIGN KEY(organization_id, user_id) REFERENCES app.users (organization_id, id),
    CONSTRAINT ck_identities_issuer_length CHECK (char_length(issuer) BETWEEN 1 AND 512),
    CONSTRAINT ck_identities_subject_length CHECK (char_length(subject) BETWEEN 1 AND 255)
);
CREATE INDEX ix_identities_issuer_subject
    ON app.identities (issuer, subject);
CREATE INDEX ix_identities_user_id
    ON app.identities (organization_id, user_id);
ALTER TABLE app.identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.identities FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.identities');
CREATE POLICY identities_select_service ON app.identities
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY identities_insert_service ON app.identities
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY identities_select_definer ON app.identities
    FOR SELECT TO app_definer
    USING (true);
CREATE POLICY identities_select_operator ON app.identities
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY identities_insert_operator ON app.identities
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY identities_update_operator ON app.identities
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY identities_delete_operator ON app.identities
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.identities TO app_service;
GRANT INSERT (organization_id, id, issuer, subject, user_id) ON app.identities TO app_service;
GRANT SELECT ON app.identities TO app_definer;
GRANT SELECT ON app.identities TO minutebook_operator;
GRANT INSERT ON app.identities TO minutebook_operator;
GRANT UPDATE ON app.identities TO minutebook_operator;
GRANT DELETE ON app.identities TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.identities;
DROP TABLE app.users;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
