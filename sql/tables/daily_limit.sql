-- A named maximum of units a day. Every kind of limit is a row here: posting
-- limits, API units, buckets of uploads, pools that several channels share.
create table daily_limit (
  limit_id text not null,
  max_units integer not null,
  time_zone text,
  counted_at text not null,
  warn_percent smallint not null default 80,
  constraint daily_limit_pkey primary key (limit_id),
  constraint daily_limit_id_valid
    check (limit_id <> '' and octet_length(limit_id) <= 600),
  constraint daily_limit_max_units_valid
    check (max_units between 0 and 1000000000),
  constraint daily_limit_counted_at_valid
    check (counted_at in ('publish', 'upload')),
  constraint daily_limit_warn_percent_valid
    check (warn_percent between 0 and 100)
);

comment on table daily_limit is 'A named maximum of units a day.';
comment on column daily_limit.limit_id is
  'Name of the limit; limits that create_channel makes are named channel/limit.';
comment on column daily_limit.max_units is
  'Units a day, unless limit_day overrides the day. 10,000 is YouTube''s default quota (https://developers.google.com/youtube/v3/getting-started#quota).';
comment on column daily_limit.time_zone is
  'IANA zone in which the limit''s day begins and ends; null: the charging channel''s.';
comment on column daily_limit.counted_at is
  'publish: counts on the day of the publish time; upload: on the day of the moment the upload runs.';
comment on column daily_limit.warn_percent is
  'Share of the maximum, in percent, from which quota_warnings speaks.';
comment on constraint daily_limit_pkey on daily_limit is 'One row a limit.';
comment on constraint daily_limit_id_valid on daily_limit is
  'A name that fits into the index keys that carry it.';
comment on constraint daily_limit_max_units_valid on daily_limit is
  '0 closes the day; the upper bound keeps sums inside an integer.';
comment on constraint daily_limit_counted_at_valid on daily_limit is
  'The two days that a booking has: of its publishing and of its upload.';
comment on constraint daily_limit_warn_percent_valid on daily_limit is
  'A share in percent.';
