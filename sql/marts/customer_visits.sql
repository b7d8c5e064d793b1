-- Visits to the shop's pages by customers who are known by their account or their browser.

with visits as (
    select
        session_id,
        min(device_id) as device_id,
        min(device_type) as device_type,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        -- Only the first page knows where the visitor came from.
        coalesce(min(source) filter (where source <> 'direct'), 'direct') as source,
        min(campaign) as campaign,
        count(*) as events,
        count(*) filter (where event_type = 'product_view') as products_viewed,
        count(*) filter (where event_type = 'add_to_cart') as products_added,
        min(order_id) filter (where event_type = 'purchase') as order_id
    from {{ ref('fct_web_event') }}
    group by session_id
)

select
    devices.customer_id,
    visits.started_at,
    visits.ended_at,
    visits.session_id,
    visits.device_type,
    visits.source,
    visits.campaign,
    visits.events,
    visits.products_viewed,
    visits.products_added,
    visits.order_id
from visits
inner join {{ ref('dim_device') }} as devices on visits.device_id = devices.device_id
where devices.customer_id is not null
order by customer_id, started_at
