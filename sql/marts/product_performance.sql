-- What every product earned, and how many come back for it.

with lines as (
    select * from {{ ref('fct_order_line') }}
    where status = 'paid'
),

buyers as (
    select
        product_id,
        count(*) as customers,
        count(*) filter (where times > 1) as repeat_customers
    from (
        select product_id, customer_id, count(distinct order_id) as times
        from lines
        where customer_id is not null
        group by product_id, customer_id
    ) as times_bought
    group by product_id
),

sales as (
    select
        product_id,
        count(distinct order_id) as orders,
        sum(quantity) as units,
        sum(revenue) as revenue,
        sum(net_revenue) as net_revenue,
        sum(discount_amount) as discount_amount,
        count(*) filter (where discount_amount > 0) as promoted_lines,
        count(*) as line_count,
        max(ordered_on) as last_sold_on
    from lines
    group by product_id
),

everybody as (
    select count(distinct customer_id) as customers from lines
),

final as (
    select
        products.product_id,
        products.product_name,
        products.brand,
        products.category,
        products.subcategory,
        coalesce(sales.orders, 0) as orders,
        cast(coalesce(sales.units, 0) as decimal(18, 3)) as units,
        {{ money('coalesce(sales.revenue, 0)') }} as revenue,
        {{ money('coalesce(sales.net_revenue, 0)') }} as net_revenue,
        {{ money('coalesce(sales.discount_amount, 0)') }} as discount_amount,
        coalesce(buyers.customers, 0) as customers,
        {{ share('buyers.customers', 'everybody.customers') }} as penetration,
        {{ share('buyers.repeat_customers', 'buyers.customers') }} as repeat_rate,
        {{ share('sales.promoted_lines', 'sales.line_count') }} as promoted_share,
        sales.last_sold_on
    from {{ ref('dim_product') }} as products
    left join sales on products.product_id = sales.product_id
    left join buyers on products.product_id = buyers.product_id
    cross join everybody
)

select * from final
