-- The local times at which a channel likes to publish; reserve_next_slot tries
-- them before any other hour of the day.
create table posting_time (
  channel_id text not null,
  local_time time not null,
  iso_weekday smallint,
  constraint posting_time_key
    unique nulls not distinct (channel_id, local_time, iso_weekday),
  constraint posting_time_channel_fkey
    foreign key (channel_id) references channel (channel_id)
    on delete cascade,
  constraint posting_time_whole_minute
    check (extract(second from local_time) = 0 and local_time < '24:00'),
  constraint posting_time_weekday_valid
    check (iso_weekday between 1 and 7)
);

comment on table posting_time is
  'Preferred local publish times of a channel.';
comment on column posting_time.channel_id is 'The channel.';
comment on column posting_time.local_time is
  'Time of day on the channel''s wall clock, a whole minute.';
comment on column posting_time.iso_weekday is
  '1 (Monday) to 7 (Sunday), as in extract(isodow); null: every day.';
comment on constraint posting_time_key on posting_time is
  'A time is listed once a channel and weekday.';
comment on constraint posting_time_channel_fkey on posting_time is
  'Posting times belong to a channel and go with it.';
comment on constraint posting_time_whole_minute on posting_time is
  'Slots are whole minutes; 24:00 is the next day''s 00:00.';
comment on constraint posting_time_weekday_valid on posting_time is
  'Weekdays are numbered as in ISO 8601.';
