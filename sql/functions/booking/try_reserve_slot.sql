-- try_reserve_slot: as reserve_slot, but what speaks against the slot comes
-- back as a row, so that the caller's transaction goes on. Mistakes in the
-- arguments are raised all the same.
--
-- Parameters: as for reserve_slot.
--
-- Returns one row:
--   outcome      reserved; or SWBLK, SWDUP, SWTKN, SWLIM
--   reservation  the reservation, if reserved
--   message      why not, for a person
--   detail       why not, for a program: the DETAIL of reserve_slot
-- SQLSTATEs: SWARG SWCHN SWTYP SWGAP SWKEY SWPST, 55P03, 40001, 40P01.
-- Locks: the limit_day rows that it charges, until the transaction ends; none
-- if it is refused by what is committed already.
create function try_reserve_slot(
  p_date date,
  p_type text,
  p_time time,
  p_video text default null,
  p_channel text default 'default',
  p_request_key text default null
)
returns table (outcome text, reservation reservation, message text, detail jsonb)
language plpgsql
volatile
security definer
set search_path from current
set lock_timeout = '5s'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_booking booking := book_local(p_date, p_type, p_time, p_video, p_channel, p_request_key);
  v_code text := (v_booking.refusal).code;
begin
  if v_code not in ('SWBLK', 'SWDUP', 'SWTKN', 'SWLIM') then
    perform raise_refusal(v_booking.refusal, next_step(v_code, p_channel, p_type, null));
  end if;
  return query
  select
    coalesce(v_code, 'reserved'),
    v_booking.reservation,
    (v_booking.refusal).message,
    (v_booking.refusal).detail;
end;
$$;

comment on function try_reserve_slot(date, text, time, text, text, text) is
  'As reserve_slot, but SWBLK, SWDUP, SWTKN and SWLIM come back as a row. Errors: SWARG SWCHN SWTYP SWGAP SWKEY SWPST 55P03 40001 40P01. Locks: the limit_day rows that it charges.';
