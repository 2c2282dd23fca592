-- list_channels: the channels of the workspace.
--
-- Returns a row for each channel, by name: channel_id; time_zone; upload_lead;
-- video_types (in order of their names); created_at.
-- SQLSTATEs: none of its own. Locks: none; writes nothing.
create function list_channels()
returns table (
  channel_id text,
  time_zone text,
  upload_lead interval,
  video_types text[],
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
    c.channel_id,
    c.time_zone,
    c.upload_lead,
    array(
      select t.video_type
      from video_type as t
      where t.channel_id = c.channel_id
      order by t.video_type
    ),
    c.created_at
  from channel as c
  order by c.channel_id;
end;
$$;

comment on function list_channels() is
  'The channels of the workspace, with their zones, leads and video types. Reads only.';
