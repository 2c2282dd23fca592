-- LangFlix's table youtube_quota_usage, for its own queries: channel default,
-- read only, recounted from the ledger. Each number is of the day in its
-- limit's zone, the quota's that of YouTube.
create view youtube_quota_usage as
with shown as (
  select l.video_type, l.limit_id, l.units
  from langflix_limit as l
  where l.channel_id = 'default'
    and l.counted_at = 'publish'
    and l.video_type in ('final', 'short')
  union all
  (
    select 'quota' as video_type, l.limit_id, 1 as units
    from langflix_limit as l
    where l.channel_id = 'default'
      and l.counted_at = 'upload'
      and l.video_type in ('final', 'short')
    order by l.video_type
    limit 1
  )
),
used as (
  select
    u.day,
    coalesce(max(u.used_units) filter (where s.video_type = 'quota'), 0) as quota_used,
    max(u.max_units) filter (where s.video_type = 'quota') as quota_limit,
    coalesce(max((u.used_units + s.units - 1) / s.units)
      filter (where s.video_type = 'final'), 0) as finals,
    coalesce(max((u.used_units + s.units - 1) / s.units)
      filter (where s.video_type = 'short'), 0) as shorts,
    min(entry.first_at) as first_at,
    max(entry.last_at) as last_at
  from shown as s
  join daily_usage as u on u.limit_id = s.limit_id
  left join lateral (
    select min(e.at) as first_at, max(e.at) as last_at
    from usage_ledger as e
    where e.limit_id = u.limit_id and e.day = u.day
  ) as entry on true
  group by u.day
)
select
  md5('youtube_quota_usage ' || to_char(d.day, 'YYYY-MM-DD'))::uuid as id,
  d.day as date,
  d.quota_used,
  coalesce(d.quota_limit, q.max_units) as quota_limit,
  d.finals + d.shorts as upload_count,
  d.finals as final_videos_uploaded,
  d.shorts as short_videos_uploaded,
  d.first_at as created_at,
  d.last_at as updated_at
from used as d
left join (
  select l.max_units
  from shown as s
  join daily_limit as l on l.limit_id = s.limit_id
  where s.video_type = 'quota'
) as q on true
order by d.day;

comment on view youtube_quota_usage is
  'The usage of channel default in the columns of LangFlix''s table of that name; read only.';
comment on column youtube_quota_usage.id is 'Made from the date.';
comment on column youtube_quota_usage.date is
  'The day, for each number in its limit''s zone.';
comment on column youtube_quota_usage.quota_used is
  'Units used of the quota, which is counted at upload.';
comment on column youtube_quota_usage.quota_limit is
  'Maximum of the quota on that day; null: the channel charges none.';
comment on column youtube_quota_usage.upload_count is 'Finals and shorts together.';
comment on column youtube_quota_usage.final_videos_uploaded is
  'Finals booked for publishing on that day.';
comment on column youtube_quota_usage.short_videos_uploaded is
  'Shorts booked for publishing on that day.';
comment on column youtube_quota_usage.created_at is 'When the day was first charged.';
comment on column youtube_quota_usage.updated_at is 'When its usage last changed.';
