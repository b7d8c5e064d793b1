-- One row a person: what is believed of them, and what they hold.

with golden as (
    select * from {{ ref('int_golden_customer') }}
),

records as (
    select identity.customer_id, records.*
    from {{ ref('int_customer_records') }} as records
    inner join {{ ref('int_customer_identity') }} as identity on records.record_key = identity.record_key
),

held as (
    select
        customer_id,
        first_value(record_id order by updated_at desc, record_key) filter (where system = 'erp') as card_id,
        first_value(record_id order by updated_at desc, record_key) filter (where system = 'shop') as account_id,
        first_value(store_id order by updated_at desc, record_key) filter (where store_id is not null)
            as registration_store_id,
        count(*) filter (where system = 'erp') as card_count,
        count(*) filter (where system = 'shop') as account_count,
        min(registered_on) as registered_on
    from records
    group by customer_id
),

final as (
    select
        golden.customer_id,
        golden.first_name,
        golden.last_name,
        golden.email,
        golden.phone,
        golden.born_on,
        golden.street,
        golden.postcode,
        golden.city,
        golden.province_code,
        held.card_id,
        held.account_id,
        held.registration_store_id,
        held.card_count,
        held.account_count,
        held.registered_on
    from golden
    inner join held on golden.customer_id = held.customer_id
)

select * from final
order by customer_id
