with orders as (
    select * from {{ ref('stg_example__orders') }}
)

select
    email,
    count(*) as orders,
    sum(amount) as revenue,
    min(ordered_on) as first_order_on,
    max(ordered_on) as last_order_on
from orders
group by email
