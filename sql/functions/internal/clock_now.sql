-- The clock of slotwarden: the present instant, not the transaction's start.
-- Everything that asks for the time asks here, and asks after it has the lock.
create function clock_now()
returns timestamptz
language sql
volatile
return clock_timestamp();

comment on function clock_now() is
  'The present instant, by the server''s clock.';
