-- Pages that visitors opened, one row each, however often the tracker delivered it.

with page_views as (
    select *, row_number() over (partition by event_id order by collector_tstamp) as delivery
    from {{ source('web', 'snowplow') }}
    where event = 'page_view'
)

select
    event_id as page_view_id,
    derived_tstamp as viewed_at,
    domain_sessionid as session_id,
    domain_userid as device_id,
    user_id as account_id,
    page_urlhost as site,
    page_urlpath as page,
    page_title as title,
    refr_urlhost as referring_site,
    mkt_source as utm_source,
    mkt_medium as utm_medium,
    mkt_campaign as utm_campaign
from page_views
where delivery = 1
