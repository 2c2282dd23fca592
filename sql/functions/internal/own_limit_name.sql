create function own_limit_name(p_channel text, p_like text, p_limit_id text)
returns text
language sql
immutable
return p_channel || '/' || case
  when starts_with(p_limit_id, p_like || '/') then substr(p_limit_id, length(p_like) + 2)
  else p_limit_id
end;

comment on function own_limit_name(text, text, text) is
  'The name of a channel''s own limit, after the limit of the channel that it is like.';
