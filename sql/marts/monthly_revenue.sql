-- Revenue a month and channel, VAT and shipping included, returns deducted, cancelled orders left out.

with orders as (
    select * from {{ ref('orders') }}
    where status <> 'cancelled'
),

final as (
    select
        month,
        channel,
        count(*) filter (where status = 'paid') as orders,
        count(distinct customer_id) as customers,
        count(*) filter (where customer_type = 'new') as new_customers,
        {{ money('sum(revenue)') }} as revenue,
        {{ money('sum(net_goods_revenue)') }} as net_goods_revenue,
        {{ money('sum(discount_amount)') }} as discount_amount,
        {{ money("sum(revenue) filter (where status = 'paid') / nullif(count(*) filter (where status = 'paid'), 0)") }}
            as average_order_value
    from orders
    group by month, channel
)

select * from final
