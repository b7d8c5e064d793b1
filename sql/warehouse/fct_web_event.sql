{{ config(materialized='incremental', unique_key='event_id') }}
-- One row an event of the web tracker. A build reads only what was landed since the last one.

with events as (
    select * from {{ ref('stg_web__events') }}
    {% if is_incremental() -%}
    where loaded_at > (select max(loaded_at) from {{ this }})
    {%- endif %}
),

-- The tracker delivers at least once; what it delivers again has the same id.
delivered as (
    select *, row_number() over (partition by event_id order by collected_at) as delivery
    from events
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
from delivered
where delivery = 1
