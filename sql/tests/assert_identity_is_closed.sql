-- Records that share a key are one customer: otherwise the rounds of int_customer_identity were too few.
with keys as (
    select record_key, 'email' as kind, email as shared from {{ ref('int_customer_records') }}
    union all
    select record_key, 'card' as kind, card_key as shared from {{ ref('int_customer_records') }}
    union all
    select record_key, 'phone' as kind, phone_key as shared from {{ ref('int_customer_records') }}
)

select keys.kind, count(distinct identity.customer_id) as customers
from keys
inner join {{ ref('int_customer_identity') }} as identity on keys.record_key = identity.record_key
where keys.shared is not null
group by keys.kind, keys.shared
having count(distinct identity.customer_id) > 1
