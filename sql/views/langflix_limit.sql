-- LangFlix knows one posting limit of each video type and one quota. Here a
-- type may charge any number of limits, so its own is the one that the fewest
-- types of the channel charge. Nobody but the owner may read this.
create view langflix_limit as
select distinct on (r.channel_id, r.video_type, l.counted_at)
  r.channel_id,
  r.video_type,
  l.counted_at,
  r.limit_id,
  r.units
from charge_rule as r
join daily_limit as l on l.limit_id = r.limit_id
cross join lateral (
  select count(*) as types
  from charge_rule as o
  where o.channel_id = r.channel_id and o.limit_id = r.limit_id
) as charging
order by r.channel_id, r.video_type, l.counted_at, charging.types, r.limit_id;

comment on view langflix_limit is
  'The limit that LangFlix''s interface shows as a video type''s own, and as its quota.';
comment on column langflix_limit.channel_id is 'The channel.';
comment on column langflix_limit.video_type is 'The video type.';
comment on column langflix_limit.counted_at is
  'publish: the limit of the type; upload: its quota.';
comment on column langflix_limit.limit_id is 'The limit.';
comment on column langflix_limit.units is 'Units that one upload of the type takes.';
