{{ config(materialized='incremental', unique_key='event_id') }}
-- One row an event of the web tracker. A build reads only what was landed since the last one.

with events as (
    select * from {{ ref('stg_web__events') }}
    {% if is_incremental() -%}
    where loaded_at > (select max(loaded_at) from {{ this }})
    {%- endif %}
),

-- The tracker delivers at least once; what it delivers again is the same in everything but the time of landing.
delivered_once as (
    select
        event_id, occurred_at, event_type, session_id, device_id, device_type, operating_system, url,
        product_id, order_number, utm_source, utm_medium, utm_campaign,
        min(loaded_at) as loaded_at
    from events
    group by
        event_id, occurred_at, event_type, session_id, device_id, device_type, operating_system, url,
        product_id, order_number, utm_source, utm_medium, utm_campaign
)

select
    event_id,
    occurred_at,
    {{ local_date('occurred_at') }} as occurred_on,
    event_type,
    session_id,
    device_id,
    device_type,
    operating_system,
    url,
    product_id,
    'shop:' || order_number as order_id,
    coalesce(utm_source, 'direct') as source,
    utm_medium as medium,
    utm_campaign as campaign,
    loaded_at
from delivered_once
