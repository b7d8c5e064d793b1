with source as (
    select * from {{ source('shop', 'orders') }}
)

select
    order_number,
    cast(customer_id as varchar) as account_id,
    created_at as ordered_at,
    updated_at,
    {{ local_date('created_at') }} as ordered_on,
    status,
    currency,
    shipping['postcode'] as postcode,
    shipping['province_code'] as province_code,
    {{ money("shipping['price']") }} as shipping_amount,
    {{ money('total') }} as total_amount,
    lines
from source
