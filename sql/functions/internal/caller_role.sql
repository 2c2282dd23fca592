-- Who is writing. Inside a security definer function current_user is the
-- owner, but the role that the caller has set stays visible in the setting.
create function caller_role()
returns text
language sql
stable
return case current_setting('role')
  when 'none' then session_user::text
  else current_setting('role')
end;

comment on function caller_role() is
  'The role set by the caller, else the session user.';
