-- Everybody whom a system knows by name, one row a record: what says who is who.

with cards as (
    select
        'erp:' || card_id as record_key,
        'erp' as system,
        card_id as record_id,
        card_id as loyalty_card,
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
        card_id as loyalty_card,
        first_name, last_name, cast(null as date) as born_on, email, phone,
        street, postcode, city, province_code, cast(null as varchar) as store_id,
        {{ local_date('created_at') }} as registered_on,
        updated_at
    from {{ ref('stg_shop__customers') }}
)

select * from cards
union all
select * from accounts
