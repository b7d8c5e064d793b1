-- One row a cookie, with the customer who logged in on it last.

with devices as (
    select
        device_id,
        max(device_type) as device_type,
        max(operating_system) as operating_system,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from {{ ref('fct_web_event') }}
    group by device_id
),

logins as (
    select device_id, last_value(account_id order by occurred_at) as account_id
    from {{ ref('stg_web__events') }}
    where account_id is not null
    group by device_id
),

accounts as (
    select record_id as account_id, customer_id
    from {{ ref('int_customer_identity') }}
    where system = 'shop'
),

final as (
    select
        devices.device_id,
        devices.device_type,
        devices.operating_system,
        accounts.customer_id,
        devices.first_seen_at,
        devices.last_seen_at
    from devices
    left join logins on devices.device_id = logins.device_id
    left join accounts on logins.account_id = accounts.account_id
)

select * from final
