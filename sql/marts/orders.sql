-- One row a purchase, with what an analyst wants to slice it by.

with orders as (
    select * from {{ ref('fct_order') }}
),

lines as (
    select
        order_id,
        sum(discount_amount) as discount_amount,
        sum(net_revenue) as net_revenue,
        sum(quantity) as units
    from {{ ref('fct_order_line') }}
    group by order_id
),

numbered as (
    select order_id, row_number() over (partition by customer_id order by ordered_at, order_id) as order_of_customer
    from orders
    where customer_id is not null and status = 'paid'
),

final as (
    select
        orders.order_id,
        orders.channel,
        orders.order_number,
        orders.ordered_at,
        orders.ordered_on,
        {{ month_of('orders.ordered_on') }} as month,
        orders.customer_id,
        orders.store_id,
        stores.store_name,
        stores.province_code as store_province_code,
        orders.status,
        case
            when orders.customer_id is null then 'anonymous'
            when numbered.order_of_customer = 1 then 'new'
            else 'repeat'
        end as customer_type,
        orders.line_count,
        {{ money('lines.units') }} as units,
        orders.total_amount,
        {{ money('lines.discount_amount') }} as discount_amount,
        orders.shipping_amount,
        orders.revenue,
        {{ money('lines.net_revenue') }} as net_goods_revenue
    from orders
    left join lines on orders.order_id = lines.order_id
    left join numbered on orders.order_id = numbered.order_id
    left join {{ ref('dim_store') }} as stores on orders.store_id = stores.store_id
)

select * from final
-- A customer's purchases are together, so that they are read without the rest.
order by customer_id, ordered_at
