-- Instants in DETAIL and in messages must not depend on the session's zone.
create function utc_text(p_instant timestamptz)
returns text
language sql
stable
return to_char(p_instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

comment on function utc_text(timestamptz) is
  'An instant in ISO 8601, in UTC.';
