-- reserve_slots: books a batch in one round trip. The days of all items are
-- locked first, in order; items are decided in order of their publish times.
--
--   p_requests        a JSON array of at most 1,000 objects:
--                     type, and date with time (local), or publish_time (an
--                     instant with its offset); optional: video, channel,
--                     request_key
--   p_all_or_nothing  true: the first refusal is raised, and nothing is booked;
--                     false: each item is booked or refused by itself
--
-- Returns a row for each item, in the order given:
--   item         its place, from 1
--   outcome      reserved, or the SQLSTATE of its refusal
--   reservation  the reservation, if reserved
--   message      why not, for a person
--   detail       why not, for a program
-- SQLSTATEs: SWARG (not such an array); with p_all_or_nothing those of
-- reserve_slot, with the item in DETAIL; 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows that the items charge, until the transaction ends.
create function reserve_slots(p_requests jsonb, p_all_or_nothing boolean default true)
returns table (
  item integer,
  outcome text,
  reservation reservation,
  message text,
  detail jsonb
)
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
  v_deadline timestamptz := lock_deadline();
  v_wishes booking_wish[];
  v_wish booking_wish;
  v_booking booking;
  v_bookings booking[] := '{}';
  v_hint text;
begin
  if p_requests is null or jsonb_typeof(p_requests) <> 'array'
    or jsonb_array_length(p_requests) > 1000
  then
    perform raise_refusal(
      invalid_argument('p_requests', 'a batch is a JSON array of at most 1,000 objects')
    );
  end if;
  v_wishes := array(
    select booking_wish_of(r.ordinality::integer, r.request)
    from jsonb_array_elements(p_requests) with ordinality as r (request, ordinality)
  );
  perform lock_days(
    sorted_charges(array(
      select c
      from unnest(v_wishes) as w
      join channel as h on h.channel_id = w.channel_id
      cross join lateral charges_for(
        w.channel_id, w.video_type, w.publish_time,
        upload_time_for(w.publish_time, h.upload_lead, clock_now())
      ) as c
      where (w.refusal).code is null and w.publish_time > clock_now()
    )),
    v_deadline
  );

  for v_wish in
    select w.* from unnest(v_wishes) as w order by w.publish_time, w.item
  loop
    v_booking := book_wish(v_wish, v_deadline);
    if coalesce(p_all_or_nothing, true) and (v_booking.refusal).code is not null then
      v_booking.refusal.message :=
        format('item %s: %s', v_wish.item, (v_booking.refusal).message);
      v_booking.refusal.detail :=
        (v_booking.refusal).detail || jsonb_build_object('item', v_wish.item);
      v_hint := next_step(
        (v_booking.refusal).code, v_wish.channel_id, v_wish.video_type, v_wish.publish_time
      );
      perform raise_refusal(v_booking.refusal, v_hint);
    end if;
    v_bookings[v_wish.item] := v_booking;
  end loop;
  return query
  select
    w.item,
    coalesce((v_bookings[w.item].refusal).code, 'reserved'),
    v_bookings[w.item].reservation,
    (v_bookings[w.item].refusal).message,
    (v_bookings[w.item].refusal).detail
  from unnest(v_wishes) as w
  order by w.item;
end;
$$;

comment on function reserve_slots(jsonb, boolean) is
  'Books a batch, all or nothing or item by item, and returns a result for each item. Errors: SWARG; all or nothing also those of reserve_slot; 55P03 40001 40P01. Locks: the limit_day rows that the items charge.';
