with source as (
    select * from {{ source('shop', 'carts') }}
)

select
    id as cart_id,
    cast(customer_id as varchar) as account_id,
    device_id,
    order_number,
    created_at,
    updated_at,
    {{ money('value') }} as cart_value,
    cast(cardinality(items) as int) as item_count
from source
