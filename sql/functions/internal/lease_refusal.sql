create function lease_refusal(p_lease interval)
returns refusal
language sql
immutable
return case
  when extract(epoch from p_lease) <= 0 or extract(epoch from p_lease) > 366 * 86400
    then invalid_argument('p_lease', 'a lease lasts longer than 0 and up to 366 days')
end;

comment on function lease_refusal(interval) is
  'SWARG, if an upload cannot be leased that long; else null.';
