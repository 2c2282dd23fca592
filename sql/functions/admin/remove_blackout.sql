-- remove_blackout: the channel publishes again.
--
--   p_blackout_id  the blackout, as list_blackouts has it
--
-- Returns the blackout that was removed; no row, if there is none.
-- SQLSTATEs: SWARG. Locks: none that bookings wait for.
create function remove_blackout(p_blackout_id bigint)
returns setof blackout
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
begin
  if p_blackout_id is null then
    perform raise_refusal(invalid_argument('p_blackout_id', 'the id of a blackout is needed'));
  end if;
  return query
  delete from blackout as b
  where b.blackout_id = p_blackout_id
  returning b.*;
end;
$$;

comment on function remove_blackout(bigint) is
  'Removes a blackout and returns it; no row, if there is none. Errors: SWARG.';
