-- Keys of calls that were carried out, so that a repeated call books nothing
-- twice. A refusal is not remembered.
create table request (
  request_key text not null,
  function text not null,
  arguments jsonb not null,
  reservation_id bigint,
  created_at timestamptz not null default clock_now(),
  created_by text not null default caller_role(),
  constraint request_pkey primary key (request_key),
  constraint request_key_valid
    check (request_key <> '' and octet_length(request_key) <= 200),
  constraint request_reservation_fkey
    foreign key (reservation_id) references reservation (reservation_id)
    on delete set null deferrable initially deferred
);

create index request_reservation_idx on request (reservation_id);

comment on table request is
  'Keys of calls that were carried out (idempotency).';
comment on column request.request_key is
  'The caller''s key, unique in the workspace; at most 200 bytes.';
comment on column request.function is 'The function that was called.';
comment on column request.arguments is 'Its arguments, as the caller gave them.';
comment on column request.reservation_id is
  'The reservation that the call returned; null: deleted since.';
comment on column request.created_at is 'When the call was carried out.';
comment on column request.created_by is 'Role that called.';
comment on constraint request_pkey on request is 'A key stands for one call.';
comment on constraint request_key_valid on request is
  'A key that fits into the index.';
comment on constraint request_reservation_fkey on request is
  'The reservation that the key leads to; checked at commit, since the key is taken first.';
comment on index request_reservation_idx is
  'Finds the keys of a reservation that is deleted.';
