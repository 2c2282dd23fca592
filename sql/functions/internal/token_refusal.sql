create function token_refusal(p_token uuid)
returns refusal
language sql
immutable
return case
  when p_token is null
    then invalid_argument('p_token', 'the lease_token of the attempt is needed')
end;

comment on function token_refusal(uuid) is 'SWARG, if there is no token; else null.';
