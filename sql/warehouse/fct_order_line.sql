-- One row a product of a purchase, in a store or in the shop.

with products as (
    select product_id, article_number from {{ ref('stg_office__products') }}
),

ticket_lines as (
    select
        'store:' || lines.ticket_id as order_id,
        lines.line_number,
        products.product_id,
        lines.quantity,
        lines.unit_price,
        lines.discount_amount,
        lines.total_amount,
        lines.tax_rate
    from {{ ref('stg_erp__ticket_lines') }} as lines
    left join products on lines.article_number = products.article_number
),

nested as (
    select order_number, unnest(lines) as line
    from {{ ref('stg_shop__orders') }}
),

shop_lines as (
    select
        'shop:' || order_number as order_id,
        cast(line['line'] as int) as line_number,
        line['sku'] as product_id,
        cast(line['quantity'] as decimal(12, 3)) as quantity,
        {{ money("line['unit_price']") }} as unit_price,
        {{ money("line['discount']") }} as discount_amount,
        {{ money("line['total']") }} as total_amount,
        cast(line['tax_rate'] as decimal(5, 2)) as tax_rate
    from nested
),

lines as (
    select * from ticket_lines
    union all
    select * from shop_lines
),

orders as (
    select order_id, channel, ordered_on, customer_id, status from {{ ref('fct_order') }}
),

final as (
    select
        lines.order_id || '-' || cast(lines.line_number as varchar) as order_line_id,
        lines.order_id,
        lines.line_number,
        orders.channel,
        orders.ordered_on,
        orders.customer_id,
        orders.status,
        lines.product_id,
        lines.quantity,
        lines.unit_price,
        lines.discount_amount,
        lines.total_amount,
        lines.tax_rate,
        case when orders.status = 'cancelled' then {{ money('0') }} else lines.total_amount end as revenue,
        case
            when orders.status = 'cancelled' then {{ money('0') }}
            else {{ money('round(lines.total_amount * 100 / (100 + lines.tax_rate), 2)') }}
        end as net_revenue
    from lines
    left join orders on lines.order_id = orders.order_id
)

select * from final
