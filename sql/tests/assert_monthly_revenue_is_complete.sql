-- The mart that management reads adds up to what the systems sold.
with monthly as (
    select sum(revenue) as revenue from {{ ref('monthly_revenue') }}
),

tickets as (
    select sum(total_amount) as revenue from {{ ref('stg_erp__tickets') }}
),

shop as (
    select sum(total_amount) as revenue from {{ ref('stg_shop__orders') }} where status <> 'cancelled'
)

select monthly.revenue, tickets.revenue as tickets_revenue, shop.revenue as shop_revenue
from monthly
cross join tickets
cross join shop
where monthly.revenue <> coalesce(tickets.revenue, 0) + coalesce(shop.revenue, 0)
