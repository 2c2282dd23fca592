-- account_upload: an application that counts its uploads itself, such as
-- LangFlix, reports one. A booked upload has paid for itself already, so the
-- report is matched with a booking and recorded with 0 units; each attempt of a
-- booking is matched once. A report that no booking is left for is an upload
-- without a booking: its units are charged, as far as they fit into the day,
-- since YouTube has charged them whatever this day's maximum says.
--
--   p_type     video type of the upload
--   p_units    what an upload without a booking takes, 0 to 1,000,000,000
--   p_day      the day, in the zone of the channel or of the limit; null: today
--   p_channel  the channel
--
-- Returns the recorded usage, with a note of what it was matched with; a null
-- row, if uploads of the type charge no limit that counts at upload.
-- SQLSTATEs: SWARG SWCHN SWTYP, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the channel, then the limit_day row, until the transaction ends.
create function account_upload(
  p_type text,
  p_units integer default 1600,
  p_day date default null,
  p_channel text default 'default'
)
returns external_usage
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
  v_limit_id text;
  v_day date;
  v_note text;
  v_units integer := 0;
  v_state record;
  v_usage external_usage;
begin
  perform raise_refusal(argument_refusal(p_channel, p_type, null, null));
  if p_units is null or p_units not between 0 and 1000000000 then
    perform raise_refusal(invalid_argument('p_units', 'usage is 0 to 1,000,000,000 units'));
  end if;
  select l.limit_id into v_limit_id
  from langflix_limit as l
  where l.channel_id = p_channel and l.video_type = p_type and l.counted_at = 'upload';
  if not found then
    return null;
  end if;
  v_day := coalesce(p_day, limit_today(v_limit_id));
  perform raise_refusal(day_refusal('p_day', v_day));

  -- Two reports must not be matched with one booking.
  perform lock_channel(p_channel, v_deadline);
  perform lock_days(array[row(v_limit_id, null, v_day, 0)::charge], v_deadline);
  v_note := langflix_unreported_upload(p_channel, p_type, v_limit_id, v_day);
  if v_note is null then
    v_state := usage_of(v_limit_id, v_day);
    v_units := least(p_units, greatest(v_state.max_units - v_state.used_units, 0));
    v_note := format(
      'upload of a %s without a booking, of %s units', p_type, p_units
    ) || case when v_units < p_units then ', which did not fit' else '' end;
  end if;
  insert into external_usage (limit_id, day, units, note)
  values (v_limit_id, v_day, v_units, v_note)
  returning * into v_usage;
  return v_usage;
end;
$$;

comment on function account_upload(text, integer, date, text) is
  'Counts an upload that an application reports: 0 units if a booking has paid for it, else what fits; returns the record. Errors: SWARG SWCHN SWTYP 55P03 40001 40P01. Locks: the channel, then the limit_day row.';
