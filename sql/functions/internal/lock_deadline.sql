-- The budget of a call is the lock_timeout of its function's SET clause; 0
-- means that it may wait for ever.
create function lock_deadline()
returns timestamptz
language sql
volatile
return case
  when current_setting('lock_timeout')::interval > interval '0'
    then clock_timestamp() + current_setting('lock_timeout')::interval
  else 'infinity'
end;

comment on function lock_deadline() is
  'Until when the running call may wait for locks.';
