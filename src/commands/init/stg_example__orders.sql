with source as (
    select * from {{ source('raw_example', 'orders') }}
)

select
    cast(order_id as varchar) as order_id,
    lower(trim(customer_email)) as email,
    order_date as ordered_on,
    amount
from source
