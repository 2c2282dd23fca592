-- The kinds of video that a channel publishes: data, not code.
create table video_type (
  channel_id text not null,
  video_type text not null,
  constraint video_type_pkey primary key (channel_id, video_type),
  constraint video_type_channel_fkey
    foreign key (channel_id) references channel (channel_id),
  constraint video_type_valid
    check (video_type <> '' and octet_length(video_type) <= 100)
);

comment on table video_type is 'The video types that a channel publishes.';
comment on column video_type.channel_id is 'The channel.';
comment on column video_type.video_type is
  'Name of the type, such as final or short; at most 100 bytes.';
comment on constraint video_type_pkey on video_type is
  'A channel defines a type once.';
comment on constraint video_type_channel_fkey on video_type is
  'Types belong to a channel.';
comment on constraint video_type_valid on video_type is
  'A name that fits into the index keys that carry it.';
