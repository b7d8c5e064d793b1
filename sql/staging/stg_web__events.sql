with source as (
    select * from {{ source('web', 'events') }}
)

select
    event_id,
    {{ epoch_millis_to_utc('ts') }} as occurred_at,
    event as event_type,
    session_id,
    device_id,
    device['type'] as device_type,
    device['os'] as operating_system,
    url,
    utm['source'] as utm_source,
    utm['medium'] as utm_medium,
    utm['campaign'] as utm_campaign,
    sku as product_id,
    order_number,
    {{ email_key('user_email') }} as email,
    _loaded_at as loaded_at
from source
