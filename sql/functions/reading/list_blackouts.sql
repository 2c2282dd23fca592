-- list_blackouts: the spans in which a channel publishes nothing.
--
--   p_channel  the channel
--   p_from     those that end after this instant; null: after the present one
--
-- Returns a row for each blackout, by its beginning: blackout_id; channel_id;
-- from_time (-infinity: it has no beginning); to_time, the first instant that
-- is free again (infinity: none); reason; created_at; created_by.
-- SQLSTATEs: SWARG SWCHN. Locks: none; writes nothing.
create function list_blackouts(
  p_channel text default 'default',
  p_from timestamptz default null
)
returns setof blackout
language plpgsql
stable
security definer
set search_path from current
as $$
declare
  v_channel channel := require_channel(p_channel);
begin
  return query
  select b.*
  from blackout as b
  where b.channel_id = v_channel.channel_id
    and b.to_time > coalesce(p_from, clock_now())
  order by b.from_time, b.blackout_id;
end;
$$;

comment on function list_blackouts(text, timestamptz) is
  'The blackouts of a channel that end after an instant (null: the present), by their beginning. Errors: SWARG SWCHN. Reads only.';
