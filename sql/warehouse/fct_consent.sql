-- One row a decision of a person about a purpose, whichever system asked.

with decisions as (
    select
        'erp:' || card_id as record_key, 'erp' as system,
        purpose, status, decided_at, expires_on, decided_through
    from {{ ref('stg_erp__consents') }}
    union all
    select
        'shop:' || account_id as record_key, 'shop' as system,
        purpose, status, decided_at, expires_on, decided_through
    from {{ ref('stg_shop__consents') }}
),

identity as (
    select record_key, customer_id from {{ ref('int_customer_identity') }}
),

final as (
    select
        md5(concat_ws('|', decisions.record_key, decisions.purpose, cast(decisions.decided_at as varchar)))
            as consent_id,
        identity.customer_id,
        decisions.purpose,
        decisions.status,
        decisions.decided_at,
        decisions.expires_on,
        decisions.system,
        decisions.decided_through
    from decisions
    inner join identity on decisions.record_key = identity.record_key
)

select * from final
