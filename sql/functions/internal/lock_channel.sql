create function lock_channel(p_channel_id text, p_deadline timestamptz)
returns channel
language plpgsql
volatile
set search_path from current
as $$
declare
  v_channel channel;
begin
  -- Most channels are free: only a wait needs a bound.
  select c.* into v_channel
  from channel as c
  where c.channel_id = p_channel_id
  for no key update skip locked;
  if not found then
    perform bound_lock_wait(p_deadline);
    select c.* into v_channel
    from channel as c
    where c.channel_id = p_channel_id
    for no key update;
    perform end_lock_wait(p_deadline);
  end if;
  return v_channel;
end;
$$;

comment on function lock_channel(text, timestamptz) is
  'Locks a channel against its other calls and changes, and returns it; 55P03 past the deadline.';
