-- list_import_conflicts: rows of another scheduler that an import could not
-- book as they were, oldest first.
--
--   p_source  only of this import; null: of all
--   p_open    only those that were not booked since; null or false: all
--
-- Returns a row for each: import_conflict_id, source; what the row said
-- (source_id, video_path, video_type, publish_time, status,
-- youtube_video_id, as texts, whatever they were); reason (why it was not
-- booked); reservation_id (what it was booked as since); created_at (when it
-- was imported).
-- SQLSTATEs: none. Locks: none; writes nothing.
create function list_import_conflicts(
  p_source text default null,
  p_open boolean default true
)
returns table (
  import_conflict_id bigint,
  source text,
  source_id text,
  video_path text,
  video_type text,
  publish_time text,
  status text,
  youtube_video_id text,
  reason text,
  reservation_id bigint,
  created_at timestamptz
)
language plpgsql
stable
security definer
set search_path from current
as $$
begin
  return query
  select
    c.import_conflict_id,
    c.source,
    c.row ->> 'id',
    c.row ->> 'video_path',
    c.row ->> 'video_type',
    c.row ->> 'scheduled_publish_time',
    c.row ->> 'upload_status',
    c.row ->> 'youtube_video_id',
    c.reason,
    c.reservation_id,
    c.created_at
  from import_conflict as c
  where (p_source is null or c.source = p_source)
    and (p_open is not true or c.reservation_id is null)
  order by c.import_conflict_id;
end;
$$;

comment on function list_import_conflicts(text, boolean) is
  'The rows of another scheduler that an import could not book, and why. Reads only.';
