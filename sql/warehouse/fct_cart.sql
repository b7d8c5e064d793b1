with carts as (
    select * from {{ ref('stg_shop__carts') }}
),

identity as (
    select record_id, customer_id from {{ ref('int_customer_identity') }} where system = 'shop'
),

devices as (
    select device_id, customer_id from {{ ref('dim_device') }}
),

final as (
    select
        carts.cart_id,
        -- Who left before logging in is known by the device, if ever they logged in on it.
        coalesce(identity.customer_id, devices.customer_id) as customer_id,
        carts.device_id,
        'shop:' || carts.order_number as order_id,
        case when carts.order_number is null then 'abandoned' else 'ordered' end as status,
        carts.created_at,
        carts.updated_at,
        {{ local_date('carts.created_at') }} as created_on,
        carts.item_count,
        carts.cart_value
    from carts
    left join identity on carts.account_id = identity.record_id
    left join devices on carts.device_id = devices.device_id
)

select * from final
