-- Instants in messages: as the channel's people read them.
create function local_text(p_instant timestamptz, p_zone text)
returns text
language sql
stable
return to_char(p_instant at time zone p_zone, 'YYYY-MM-DD HH24:MI') || ' ' || p_zone;

comment on function local_text(timestamptz, text) is
  'An instant on the wall clock of a zone, for a person.';
