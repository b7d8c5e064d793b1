with source as (
    select * from {{ source('shop', 'consents') }}
)

select
    cast(customer_id as varchar) as account_id,
    purpose,
    -- Who says no at once has withdrawn nothing, but may be written to just as little.
    case status when 'granted' then 'granted' else 'withdrawn' end as status,
    occurred_at as decided_at,
    expires_on,
    source as decided_through
from source
