create function langflix_whole_minute(p_instant timestamptz)
returns timestamptz
language sql
immutable
return to_timestamp(floor(extract(epoch from p_instant) / 60)::float8 * 60);

comment on function langflix_whole_minute(timestamptz) is
  'The instant without its seconds: slots are whole minutes.';
