-- One row a purchase, in a store or in the shop. Returns are purchases of a negative amount; cancelled orders stay,
-- with a revenue of nothing.

with tickets as (
    select
        'store:' || ticket_id as order_id,
        'store' as channel,
        ticket_id as order_number,
        sold_at as ordered_at,
        sold_on as ordered_on,
        'erp:' || card_id as record_key,
        store_id,
        case when total_amount < 0 then 'returned' else 'paid' end as status,
        line_count,
        total_amount,
        {{ money('0') }} as shipping_amount
    from {{ ref('stg_erp__tickets') }}
),

shop_orders as (
    select
        'shop:' || order_number as order_id,
        'shop' as channel,
        order_number,
        ordered_at,
        ordered_on,
        'shop:' || account_id as record_key,
        cast(null as varchar) as store_id,
        status,
        cast(cardinality(lines) as int) as line_count,
        total_amount,
        shipping_amount
    from {{ ref('stg_shop__orders') }}
),

orders as (
    select * from tickets
    union all
    select * from shop_orders
),

identity as (
    select record_key, customer_id from {{ ref('int_customer_identity') }}
),

final as (
    select
        orders.order_id,
        orders.channel,
        orders.order_number,
        orders.ordered_at,
        orders.ordered_on,
        identity.customer_id,
        orders.store_id,
        orders.status,
        orders.line_count,
        orders.total_amount,
        orders.shipping_amount,
        case when orders.status = 'cancelled' then {{ money('0') }} else orders.total_amount end as revenue
    from orders
    left join identity on orders.record_key = identity.record_key
)

select * from final
