-- What one upload of a type on a channel takes from a limit.
create table charge_rule (
  channel_id text not null,
  video_type text not null,
  limit_id text not null,
  units integer not null,
  constraint charge_rule_pkey primary key (channel_id, video_type, limit_id),
  constraint charge_rule_video_type_fkey
    foreign key (channel_id, video_type)
    references video_type (channel_id, video_type),
  constraint charge_rule_limit_fkey
    foreign key (limit_id) references daily_limit (limit_id),
  constraint charge_rule_units_valid check (units between 1 and 1000000000)
);

create index charge_rule_limit_idx on charge_rule (limit_id);

comment on table charge_rule is
  'What one upload of a video type on a channel takes from a limit.';
comment on column charge_rule.channel_id is 'The channel.';
comment on column charge_rule.video_type is 'The video type.';
comment on column charge_rule.limit_id is 'The limit that is charged.';
comment on column charge_rule.units is
  'Units an upload takes. 1,600 is the cost of videos.insert in YouTube''s quota table of 10,000 units (https://developers.google.com/youtube/v3/determine_quota_cost).';
comment on constraint charge_rule_pkey on charge_rule is
  'A type charges a limit by one rule.';
comment on constraint charge_rule_video_type_fkey on charge_rule is
  'A rule is for a type that the channel defines.';
comment on constraint charge_rule_limit_fkey on charge_rule is
  'A rule charges a limit that exists.';
comment on constraint charge_rule_units_valid on charge_rule is
  'No rule, rather than a rule of 0 units, charges nothing.';
comment on index charge_rule_limit_idx is
  'Finds the channels that share a limit.';
