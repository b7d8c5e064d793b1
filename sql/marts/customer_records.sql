-- The records that are one person, and why: the same loyalty card, alike in all that they say, or decided by somebody.

select
    identity.customer_id,
    records.record_key,
    records.system,
    records.record_id,
    identity.why,
    identity.linked_to,
    round(identity.weight, 2) as weight,
    records.registered_on,
    records.updated_at
from {{ ref('int_customer_records') }} as records
inner join {{ ref('int_customer_identity') }} as identity on records.record_key = identity.record_key
order by customer_id, records.record_key
