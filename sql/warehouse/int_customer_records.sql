-- Everybody whom a system knows by name, with the three keys that can tell that two of them are one.

with cards as (
    select
        'erp:' || card_id as record_key,
        'erp' as system,
        card_id as record_id,
        card_id as card_key,
        first_name, last_name, born_on, email, phone,
        street, postcode, city, province_code, store_id,
        issued_on as registered_on,
        updated_at
    from {{ ref('stg_erp__cards') }}
),

accounts as (
    select
        'shop:' || account_id as record_key,
        'shop' as system,
        account_id as record_id,
        card_id as card_key,
        first_name, last_name, cast(null as date) as born_on, email, phone,
        street, postcode, city, province_code, cast(null as varchar) as store_id,
        {{ local_date('created_at') }} as registered_on,
        updated_at
    from {{ ref('stg_shop__customers') }}
),

records as (
    select * from cards
    union all
    select * from accounts
)

select
    row_number() over (order by record_key) as record_number,
    *,
    -- Couples share telephones, so a number alone is not enough.
    phone || left({{ plain_name('first_name') }}, 1) as phone_key
from records
