-- Takes the import and LangFlix's views away; what was imported stays booked.
-- Its ids in LangFlix are kept for a later upgrade.
insert into import_conflict (source, row, reason, reservation_id, created_at, created_by)
select
  i.source, jsonb_build_object('imported as', i.source_id), 'kept by a downgrade',
  i.reservation_id, i.imported_at, i.imported_by
from imported_reservation as i;

drop function langflix_settings;
drop function account_upload;
drop function record_upload;
drop function rebook_import_conflict;
drop function list_import_conflicts;
drop function import_langflix;
drop function langflix_unreported_upload;
drop function langflix_add_video_id;
drop function langflix_reservation_of_video;
drop function langflix_import;
drop function langflix_import_row;
drop function langflix_restore_maxima;
drop function langflix_make_room;
drop function langflix_clash;
drop function langflix_known;
drop function langflix_row_of;
drop function langflix_reservation;
drop function langflix_status;
drop function langflix_time_refusal;
drop function langflix_whole_minute;
drop function langflix_instant;
drop function langflix_local_time;
drop view youtube_quota_usage;
drop view youtube_schedule;
drop view langflix_limit;
drop type langflix_result;
drop type langflix_row;
drop index import_conflict_source_id_idx;
drop table imported_reservation;
