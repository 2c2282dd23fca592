-- Spans of time in which a channel publishes nothing.
create sequence blackout_id_seq as bigint;

create table blackout (
  blackout_id bigint not null default nextval('blackout_id_seq'),
  channel_id text not null,
  from_time timestamptz not null,
  to_time timestamptz not null,
  reason text not null,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint blackout_pkey primary key (blackout_id),
  constraint blackout_channel_fkey
    foreign key (channel_id) references channel (channel_id)
    on delete cascade,
  constraint blackout_span_valid check (from_time < to_time),
  constraint blackout_reason_valid
    check (reason <> '' and octet_length(reason) <= 2000)
);

alter sequence blackout_id_seq owned by blackout.blackout_id;

create index blackout_channel_idx on blackout (channel_id, to_time);

comment on sequence blackout_id_seq is 'Numbers blackouts.';
comment on table blackout is
  'Spans of time in which a channel publishes nothing.';
comment on column blackout.blackout_id is 'Key of the blackout.';
comment on column blackout.channel_id is 'The channel.';
comment on column blackout.from_time is 'First instant that is blacked out.';
comment on column blackout.to_time is
  'First instant that is free again; may be infinity.';
comment on column blackout.reason is 'Why, for the people who are refused.';
comment on column blackout.created_at is 'When the blackout was added.';
comment on column blackout.created_by is 'Role that added it.';
comment on constraint blackout_pkey on blackout is 'One row a blackout.';
comment on constraint blackout_channel_fkey on blackout is
  'Blackouts belong to a channel and go with it.';
comment on constraint blackout_span_valid on blackout is
  'A span has a length.';
comment on constraint blackout_reason_valid on blackout is
  'A reason that can be shown.';
comment on index blackout_channel_idx is
  'Finds the blackouts of a channel that are not over.';
