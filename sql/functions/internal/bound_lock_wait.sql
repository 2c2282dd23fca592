-- lock_timeout bounds one wait; a call has several. Before each, what is left
-- of the budget becomes the timeout; the SET clause of the calling function
-- puts the session's own back. Past the deadline the least timeout remains: a
-- call that works for long, such as a batch, goes on as long as nobody is in
-- its way. A null deadline (a direct write) leaves the session's setting alone.
create function bound_lock_wait(p_deadline timestamptz, p_waits integer default 1)
returns void
language plpgsql
volatile
set search_path from current
as $$
declare
  v_left_ms float8;
  v_set text;
begin
  if p_deadline is null or p_deadline = 'infinity' then
    return;
  end if;
  v_left_ms := date_part('epoch', p_deadline - clock_timestamp()) * 1000;
  v_set := set_config('lock_timeout', greatest(floor(v_left_ms / p_waits), 1)::text, true);
end;
$$;

comment on function bound_lock_wait(timestamptz, integer) is
  'Lets the next statement, which may wait so many times, wait no longer than the deadline; past it, for no longer than a millisecond.';
