create function upload_lead_refusal(p_upload_lead interval)
returns refusal
language sql
immutable
return case
  when p_upload_lead is null or extract(epoch from p_upload_lead) not between 0 and 366 * 86400
    then invalid_argument('p_upload_lead', 'an upload lead lies between 0 and 366 days')
end;

comment on function upload_lead_refusal(interval) is
  'SWARG, if a channel cannot upload that long before it publishes; else null.';
