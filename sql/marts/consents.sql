-- What everybody agrees to now: the last decision about a purpose counts, whichever system heard it.
-- Who was never asked has no row, and may not be written to.

with decisions as (
    select
        *,
        row_number() over (
            partition by customer_id, purpose
            -- Of two decisions in one moment, no is the safe one.
            order by decided_at desc, status desc, consent_id
        ) as from_last
    from {{ ref('fct_consent') }}
)

select
    customer_id,
    purpose,
    status,
    decided_at as valid_from,
    case when status = 'granted' then {{ end_of_day('expires_on') }} end as valid_until
from decisions
where from_last = 1
order by customer_id, purpose
