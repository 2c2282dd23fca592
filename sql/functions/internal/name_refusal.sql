create function name_refusal(p_parameter text, p_name text, p_bytes integer)
returns refusal
language sql
immutable
return case
  when p_name is null or p_name = '' or octet_length(p_name) > p_bytes
    then invalid_argument(p_parameter, format('a name has 1 to %s bytes', p_bytes))
  when p_name ~ '[[:cntrl:]]'
    then invalid_argument(p_parameter, 'a name has no control characters')
  when p_name <> btrim(p_name)
    then invalid_argument(p_parameter, 'a name neither begins nor ends with a space')
end;

comment on function name_refusal(text, text, integer) is
  'SWARG, if this cannot be the name of a channel, limit or type; else null.';
