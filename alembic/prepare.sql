-- Run before every installation, upgrade and downgrade, by psql and by
-- Alembic: sees to the roles and the schema, then works as the owner with the
-- schema in the path, until the transaction ends.
--
-- Expects the settings slotwarden.schema, slotwarden.owner_role,
-- slotwarden.app_role, slotwarden.reader_role and slotwarden.admin_role. Where
-- a workspace is installed already, the roles that it was installed with win.
do $prepare$
declare
  v_schema text := current_setting('slotwarden.schema');
  v_owner text;
  v_purpose text;
  v_role text;
  v_installed boolean;
begin
  if v_schema in ('public', 'information_schema') or starts_with(v_schema, 'pg_') then
    raise exception 'slotwarden does not live in the schema %: give it one of its own',
      quote_literal(v_schema)
      using errcode = 'invalid_schema_name';
  end if;
  -- One installation of a database at a time.
  perform pg_advisory_xact_lock(hashtext('slotwarden'), hashtext(v_schema));

  v_installed := to_regclass(format('%I.workspace_role', v_schema)) is not null;
  foreach v_purpose in array array['owner', 'app', 'reader', 'admin'] loop
    v_role := current_setting(format('slotwarden.%s_role', v_purpose));
    if v_installed then
      execute format('select role_name from %I.workspace_role where purpose = $1', v_schema)
        into v_role using v_purpose;
      v_role := coalesce(v_role, '');
    elsif not exists (select from pg_roles as r where r.rolname = v_role) then
      begin
        execute format('create role %I nologin', v_role);
      exception
        when duplicate_object or unique_violation then
          null;  -- another installation of this cluster was faster
        when insufficient_privilege then
          raise warning 'role % does not exist and may not be created: it is left out', v_role;
          v_role := '';
      end;
    end if;
    perform set_config(format('slotwarden.%s_role', v_purpose), v_role, true);
  end loop;

  v_owner := current_setting('slotwarden.owner_role');
  if v_owner = '' then
    v_owner := current_user;
    perform set_config('slotwarden.owner_role', v_owner, true);
  end if;
  begin
    execute format('set local role %I', v_owner);
    execute 'reset role';
  exception
    when insufficient_privilege then
      execute format('grant %I to %I', v_owner, current_user);
  end;

  if not exists (select from pg_namespace as n where n.nspname = v_schema) then
    execute format('create schema %I authorization %I', v_schema, v_owner);
  elsif not has_schema_privilege(v_owner, v_schema, 'create') then
    execute format('grant usage, create on schema %I to %I', v_schema, v_owner);
  end if;
  execute format('set local role %I', v_owner);
  execute format('set local search_path to %I, pg_temp', v_schema);
end;
$prepare$;
