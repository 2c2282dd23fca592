-- The names under which the roles were installed, so that an upgrade grants
-- to the same ones.
create table workspace_role (
  purpose text not null,
  role_name text not null,
  constraint workspace_role_pkey primary key (purpose),
  constraint workspace_role_purpose_valid
    check (purpose in ('owner', 'app', 'reader', 'admin'))
);

comment on table workspace_role is
  'The database roles of this workspace.';
comment on column workspace_role.purpose is
  'owner, app (EXECUTE on the API), reader (views), admin (administration too).';
comment on column workspace_role.role_name is 'Name of the role.';
comment on constraint workspace_role_pkey on workspace_role is
  'One role a purpose.';
comment on constraint workspace_role_purpose_valid on workspace_role is
  'The purposes that roles.sql grants for.';

comment on table alembic_version is
  'The revision of this workspace, kept by Alembic.';
comment on column alembic_version.version_num is 'Identifier of the revision.';
comment on constraint alembic_version_pkc on alembic_version is
  'One row for the revision.';
