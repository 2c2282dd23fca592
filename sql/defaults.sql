-- What a new workspace holds: one channel, in UTC until it is set otherwise,
-- with YouTube's limits.
insert into channel (channel_id, time_zone)
values ('default', 'UTC');

insert into posting_time (channel_id, local_time)
values ('default', '10:00'), ('default', '14:00'), ('default', '18:00');

insert into video_type (channel_id, video_type)
values ('default', 'final'), ('default', 'short');

-- YouTube's quota day turns at midnight Pacific Time
-- (https://developers.google.com/youtube/v3/getting-started#quota).
insert into daily_limit (limit_id, max_units, time_zone, counted_at)
values
  ('final', 2, null, 'publish'),
  ('short', 5, null, 'publish'),
  ('api_units', 10000, 'America/Los_Angeles', 'upload');

insert into charge_rule (channel_id, video_type, limit_id, units)
values
  ('default', 'final', 'final', 1),
  ('default', 'final', 'api_units', 1600),
  ('default', 'short', 'short', 1),
  ('default', 'short', 'api_units', 1600);

-- The roles that prepare.sql has found or made.
insert into workspace_role (purpose, role_name)
select p.purpose, current_setting(format('slotwarden.%s_role', p.purpose))
from unnest(array['owner', 'app', 'reader', 'admin']) as p (purpose)
where current_setting(format('slotwarden.%s_role', p.purpose)) <> '';
