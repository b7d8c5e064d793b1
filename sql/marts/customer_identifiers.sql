-- By what a person is known: records, cards, accounts, e-mail addresses, telephones and browsers, each once.

with records as (
    select identity.customer_id, records.*
    from {{ ref('int_customer_records') }} as records
    inner join {{ ref('int_customer_identity') }} as identity on records.record_key = identity.record_key
),

stated as (
    select customer_id, 'record' as kind, record_key as value, system as source, registered_on as since from records
    union all
    select customer_id, case system when 'erp' then 'card' else 'account' end, record_id, system, registered_on
    from records
    union all
    select customer_id, 'card', loyalty_card, system, registered_on from records
    where loyalty_card is not null and loyalty_card <> record_id
    union all
    select customer_id, 'email', email, system, registered_on from records where email is not null
    union all
    select customer_id, 'phone', phone, system, registered_on from records where phone is not null
    union all
    select customer_id, 'device', device_id, 'web', {{ local_date('first_seen_at') }}
    from {{ ref('dim_device') }}
    where customer_id is not null
)

select
    customer_id,
    kind,
    value,
    string_agg(distinct source, ', ' order by source) as sources,
    min(since) as since
from stated
group by customer_id, kind, value
order by customer_id, kind, value
