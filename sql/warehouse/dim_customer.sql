-- One row a person. Of several records, the shop's spelling wins, because its owner typed it; then the newest.

with records as (
    select * from {{ ref('int_customer_records') }}
),

identity as (
    select record_key, customer_id from {{ ref('int_customer_identity') }}
),

ranked as (
    select
        identity.customer_id,
        records.*,
        row_number() over (
            partition by identity.customer_id
            order by records.system desc, records.updated_at desc, records.record_key
        ) as by_trust,
        row_number() over (
            partition by identity.customer_id order by records.updated_at desc, records.record_key
        ) as by_age
    from records
    inner join identity on records.record_key = identity.record_key
),

final as (
    select
        customer_id,
        initcap(first_value(first_name order by by_trust)) as first_name,
        initcap(first_value(last_name order by by_trust)) as last_name,
        first_value(email order by by_trust) filter (where email is not null) as email,
        first_value(phone order by by_age) filter (where phone is not null) as phone,
        first_value(born_on order by by_age) filter (where born_on is not null) as born_on,
        first_value(street order by by_age) as street,
        first_value(postcode order by by_age) as postcode,
        first_value(city order by by_age) as city,
        first_value(province_code order by by_age) as province_code,
        first_value(record_id order by by_age) filter (where system = 'erp') as card_id,
        first_value(record_id order by by_age) filter (where system = 'shop') as account_id,
        first_value(store_id order by by_age) filter (where store_id is not null) as registration_store_id,
        count(*) filter (where system = 'erp') as card_count,
        count(*) filter (where system = 'shop') as account_count,
        min(registered_on) as registered_on
    from ranked
    group by customer_id
)

select * from final
