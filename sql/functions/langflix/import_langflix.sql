-- import_langflix: takes over the bookings of a LangFlix database. Nothing is
-- dropped: what cannot be booked as it is, is kept as an import conflict, which
-- list_import_conflicts shows and rebook_import_conflict books.
--
-- Rows are taken in the order in which LangFlix made them (created_at, then
-- id). Of several live rows in one slot, or of one video, the first keeps it.
-- A time with an offset is that instant, one without is on the channel's wall
-- clock; seconds are cut off. A day that is over a limit is kept as it is: its
-- maximum is raised while the rows are booked, and then what it was, so that
-- nothing new is accepted until usage falls below. Past rows are history.
-- Usage is counted anew from the rows:
--
--   scheduled   as a booking of the channel
--   uploading,  as an upload at created_at; uploading ones have a random token
--   completed   and no end of lease, so that no worker is given them
--   failed      units that count at upload only; if LangFlix says "Cancelled by
--               user", the reservation is cancelled and holds nothing
--
--   p_schedule  the rows of youtube_schedule as a JSON array of objects with
--               id, video_path, video_type, scheduled_publish_time,
--               upload_status, youtube_video_id, error_message, created_at
--   p_source    name of the database that they are from; what was imported or
--               kept under it before is not imported again
--   p_channel   the channel that they are booked on
--   p_dry_run   only say what would be done: it is done and taken back
--
-- Returns a row for each row, then one for each day that is over a limit:
--   source_id       the row's id; null: it is about a day
--   action          imported, conflict, known (from an earlier import), over_limit
--   reservation_id  the reservation; null in a dry run, unless it is known
--   reason          of a conflict, and of a day that is over its limit
-- SQLSTATEs: SWARG SWCHN, 55P03 after 5 s of waiting, 40001, 40P01.
-- Locks: the limit_day rows that the rows charge, until the transaction ends.
create function import_langflix(
  p_schedule jsonb,
  p_source text default 'langflix',
  p_channel text default 'default',
  p_dry_run boolean default false
)
returns table (source_id text, action text, reservation_id bigint, reason text)
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
  v_channel channel := require_channel(p_channel);
  v_results langflix_result[];
begin
  perform raise_refusal(name_refusal('p_source', p_source, 200));
  if p_schedule is null or jsonb_typeof(p_schedule) <> 'array'
    or jsonb_path_exists(p_schedule, 'strict $[*] ? (@.type() <> "object")')
  then
    perform raise_refusal(
      invalid_argument('p_schedule', 'a schedule is a JSON array of objects')
    );
  end if;
  if p_dry_run then
    begin
      v_results := langflix_import(p_schedule, p_source, v_channel, v_deadline);
      raise exception using errcode = 'SWDRY';
    exception
      when sqlstate 'SWDRY' then null;
    end;
  else
    v_results := langflix_import(p_schedule, p_source, v_channel, v_deadline);
  end if;
  return query
  select
    r.source_id,
    r.action,
    case when p_dry_run and r.action = 'imported' then null else r.reservation_id end,
    r.reason
  from unnest(v_results) as r;
end;
$$;

comment on function import_langflix(jsonb, text, text, boolean) is
  'Takes over the bookings of a LangFlix database, drops nothing, and says what came of each row. Errors: SWARG SWCHN 55P03 40001 40P01. Locks: the limit_day rows that the rows charge.';
