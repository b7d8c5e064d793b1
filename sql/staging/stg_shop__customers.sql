with source as (
    select * from {{ source('shop', 'customers') }}
)

select
    cast(id as varchar) as account_id,
    {{ email_key('email') }} as email,
    trim(first_name) as first_name,
    trim(last_name) as last_name,
    {{ phone_digits('phone') }} as phone,
    cast(loyalty_card as varchar) as card_id,
    address['street'] as street,
    address['postcode'] as postcode,
    address['city'] as city,
    address['province_code'] as province_code,
    created_at,
    updated_at
from source
