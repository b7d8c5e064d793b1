-- How far sessions come on their way to an order, by month, device and where they came from.

with sessions as (
    select
        session_id,
        {{ month_of('min(occurred_on)') }} as month,
        min(device_type) as device_type,
        -- Only the first page knows where the visitor came from.
        coalesce(min(source) filter (where source <> 'direct'), 'direct') as source,
        bool_or(event_type = 'product_view') as viewed_product,
        bool_or(event_type = 'add_to_cart') as filled_cart,
        bool_or(event_type = 'checkout') as checked_out,
        bool_or(event_type = 'purchase') as purchased
    from {{ ref('fct_web_event') }}
    group by session_id
),

final as (
    select
        month,
        device_type,
        source,
        count(*) as sessions,
        count(*) filter (where viewed_product) as sessions_with_product,
        count(*) filter (where filled_cart) as sessions_with_cart,
        count(*) filter (where checked_out) as sessions_with_checkout,
        count(*) filter (where purchased) as sessions_with_purchase,
        {{ share('count(*) filter (where purchased)', 'count(*)') }} as conversion,
        {{ share('count(*) filter (where filled_cart and not purchased)', 'count(*) filter (where filled_cart)') }}
            as cart_abandonment
    from sessions
    group by month, device_type, source
)

select * from final
