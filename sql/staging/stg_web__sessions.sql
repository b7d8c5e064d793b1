-- Visits, one row each. The tracker says which visit an event belongs to; where it does not, thirty minutes without
-- an event of the device end a visit.

with events as (
    select *, row_number() over (partition by event_id order by collected_at) as delivery
    from {{ ref('stg_web__events') }}
),

-- Events that the tracker gave no visit are together in one partition a device: an event after a pause begins a visit.
marked as (
    select
        *,
        case
            when session_id is null
                and occurred_at > lag(occurred_at) over (
                    partition by device_id, session_id order by occurred_at, event_id
                ) + interval '30 minutes'
                then 1
            else 0
        end as begins
    from events
    where delivery = 1
),

numbered as (
    select
        *,
        sum(begins) over (
            partition by device_id, session_id order by occurred_at, event_id
            rows between unbounded preceding and current row
        ) as visit
    from marked
)

select
    coalesce(session_id, device_id || '@' || cast(min(occurred_at) as varchar)) as session_id,
    device_id,
    min(device_type) as device_type,
    last_value(account_id order by occurred_at, event_id) filter (where account_id is not null) as account_id,
    min(occurred_at) as started_at,
    max(occurred_at) as ended_at,
    first_value(url order by occurred_at, event_id) as first_page,
    last_value(url order by occurred_at, event_id) as last_page,
    -- Only the page that a visit begins with knows where it came from.
    coalesce(
        first_value(utm_source order by occurred_at, event_id) filter (where utm_source is not null), 'direct'
    ) as source,
    first_value(utm_medium order by occurred_at, event_id) filter (where utm_medium is not null) as medium,
    first_value(utm_campaign order by occurred_at, event_id) filter (where utm_campaign is not null) as campaign,
    count(*) as events,
    count(*) filter (where event_type in ('page_view', 'product_view', 'search', 'checkout')) as page_views
from numbered
group by device_id, session_id, visit
