-- add_blackout: a span of time in which a channel publishes nothing. What is
-- booked in it already stays; calendar shows it, reschedule_reservation moves it.
--
--   p_from, p_to  from this instant up to, not including, that one (infinity
--                 is allowed)
--   p_reason      why, for the people who are refused
--   p_channel     the channel
--
-- Returns the blackout. SQLSTATEs: SWARG SWCHN. Locks: none that bookings wait
-- for; a booking that is under way may still land in the span.
create function add_blackout(
  p_from timestamptz,
  p_to timestamptz,
  p_reason text,
  p_channel text default 'default'
)
returns blackout
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
as $$
declare
  v_channel channel := require_channel(p_channel);
  v_blackout blackout;
begin
  if p_from is null or p_to is null or p_from >= p_to then
    perform raise_refusal(
      invalid_argument('p_from', 'a blackout begins before it ends')
    );
  end if;
  if isfinite(p_from) and p_from < '0001-01-02 00:00+00'
    or isfinite(p_to) and p_to > '9999-12-31 00:00+00'
  then
    perform raise_refusal(invalid_argument(
      'p_from', 'a blackout lies between 0001-01-02 and 9999-12-31, UTC, or is infinite'
    ));
  end if;
  if p_reason is null or p_reason = '' or octet_length(p_reason) > 2000 then
    perform raise_refusal(invalid_argument('p_reason', 'a reason has 1 to 2,000 bytes'));
  end if;
  insert into blackout (channel_id, from_time, to_time, reason)
  values (v_channel.channel_id, p_from, p_to, p_reason)
  returning * into v_blackout;
  return v_blackout;
end;
$$;

comment on function add_blackout(timestamptz, timestamptz, text, text) is
  'Adds a span in which a channel publishes nothing and returns it. Errors: SWARG SWCHN.';
