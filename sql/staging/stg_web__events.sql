with source as (
    select * from {{ source('web', 'snowplow') }}
),

events as (
    select
        event_id,
        derived_tstamp as occurred_at,
        case
            when event = 'transaction' then 'purchase'
            when event = 'struct' and se_category = 'cart' and se_action = 'add' then 'add_to_cart'
            when event = 'struct' and se_category = 'account' and se_action = 'login' then 'login'
            when event = 'page_view' and starts_with(page_urlpath, '/p/') then 'product_view'
            when event = 'page_view' and page_urlpath = '/search' then 'search'
            when event = 'page_view' and page_urlpath = '/checkout' then 'checkout'
            else event
        end as event_type,
        domain_sessionid as session_id,
        domain_userid as device_id,
        case when contains(useragent, 'Mobile') then 'mobile' else 'desktop' end as device_type,
        case
            when contains(useragent, 'Android') then 'Android'
            when contains(useragent, 'iPhone') or contains(useragent, 'iPad') then 'iOS'
            when contains(useragent, 'Windows') then 'Windows'
            when contains(useragent, 'Macintosh') then 'macOS'
            when contains(useragent, 'Linux') then 'Linux'
        end as operating_system,
        page_urlpath as url,
        mkt_source as utm_source,
        mkt_medium as utm_medium,
        mkt_campaign as utm_campaign,
        se_label,
        tr_orderid as order_number,
        user_id as account_id,
        collector_tstamp as collected_at,
        _loaded_at as loaded_at
    from source
)

select
    event_id, occurred_at, event_type, session_id, device_id, device_type, operating_system, url,
    utm_source, utm_medium, utm_campaign,
    case
        when event_type = 'add_to_cart' then se_label
        when event_type = 'product_view' then substr(url, 4)
    end as product_id,
    order_number, account_id, collected_at, loaded_at
from events
