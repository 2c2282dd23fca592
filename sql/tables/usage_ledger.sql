-- Every change of a usage, with its version and the balance after it. Written
-- by triggers only; never updated, never deleted.
create table usage_ledger (
  limit_id text not null,
  day date not null,
  version integer not null,
  reservation_id bigint,
  attempt integer,
  units integer not null,
  used_units integer not null,
  max_units integer not null,
  reason text not null,
  at timestamptz not null,
  by text not null,
  constraint usage_ledger_pkey primary key (limit_id, day, version),
  constraint usage_ledger_version_valid check (version >= 1),
  constraint usage_ledger_used_units_valid check (used_units >= 0),
  constraint usage_ledger_within_maximum
    check (units <= 0 or used_units <= max_units)
);

create index usage_ledger_reservation_idx
  on usage_ledger (reservation_id)
  where reservation_id is not null;

comment on table usage_ledger is
  'Append-only account of every change of a usage.';
comment on column usage_ledger.limit_id is 'The limit.';
comment on column usage_ledger.day is 'Day in the limit''s zone.';
comment on column usage_ledger.version is
  'Number of the change within the limit''s day: 1, 2, 3, ... without a gap.';
comment on column usage_ledger.reservation_id is
  'The reservation that took or gave back the units; null: the maximum changed.';
comment on column usage_ledger.attempt is
  'The upload attempt that the units pay for; null: they belong to the slot, whatever the attempt.';
comment on column usage_ledger.units is
  'Positive: taken; negative: given back; 0: the maximum changed, or a recount.';
comment on column usage_ledger.used_units is 'Balance after the change.';
comment on column usage_ledger.max_units is
  'Maximum in force at the change.';
comment on column usage_ledger.reason is 'What changed the usage: reserve, reschedule, cancel, start, claim, fail, retry, delete, maximum, recalculate or external.';
comment on column usage_ledger.at is
  'When, by the server''s clock, read with the day''s lock held.';
comment on column usage_ledger.by is 'Role that made the change.';
comment on constraint usage_ledger_pkey on usage_ledger is
  'Two writers cannot both write the next version: a lost update is impossible.';
comment on constraint usage_ledger_version_valid on usage_ledger is
  'Versions are counted from 1.';
comment on constraint usage_ledger_used_units_valid on usage_ledger is
  'Nothing can be given back that was not taken.';
comment on constraint usage_ledger_within_maximum on usage_ledger is
  'The invariant: used never grows past the maximum.';
comment on index usage_ledger_reservation_idx is
  'Finds what a reservation holds.';
