-- Everything that is known about a person, in one row: customer 360.

with customers as (
    select * from {{ ref('dim_customer') }}
),

rfm as (
    select * from {{ ref('rfm') }}
),

consents as (
    select
        customer_id,
        bool_or(purpose = 'email_marketing') as email_marketing,
        bool_or(purpose = 'sms_marketing') as sms_marketing,
        bool_or(purpose = 'profiling') as profiling
    from {{ ref('consents') }}
    where status = 'granted' and (valid_until is null or valid_until > {{ today() }})
    group by customer_id
),

purchases as (
    select
        customer_id,
        count(*) filter (where channel = 'store' and status = 'paid') as store_orders,
        count(*) filter (where channel = 'shop' and status = 'paid') as shop_orders,
        {{ money('sum(revenue)') }} as lifetime_revenue
    from {{ ref('fct_order') }}
    where customer_id is not null
    group by customer_id
),

by_store as (
    select
        customer_id,
        store_id,
        row_number() over (partition by customer_id order by count(*) desc, sum(revenue) desc, store_id) as place
    from {{ ref('fct_order') }}
    where customer_id is not null and store_id is not null
    group by customer_id, store_id
),

by_category as (
    select
        lines.customer_id,
        products.category,
        row_number() over (
            partition by lines.customer_id order by sum(lines.revenue) desc, products.category
        ) as place
    from {{ ref('fct_order_line') }} as lines
    inner join {{ ref('dim_product') }} as products on lines.product_id = products.product_id
    where lines.customer_id is not null
    group by lines.customer_id, products.category
),

carts as (
    select customer_id, count(*) as abandoned_carts
    from {{ ref('fct_cart') }}
    where customer_id is not null and status = 'abandoned'
    group by customer_id
),

web as (
    select customer_id, max(last_seen_at) as last_web_visit_at
    from {{ ref('dim_device') }}
    where customer_id is not null
    group by customer_id
),

rhythm as (
    select
        customer_id,
        recency_days,
        case when frequency > 1 then cast(last_order_on - first_order_on as double) / (frequency - 1) end
            as usual_interval_days
    from rfm
),

-- How late somebody is, measured by their own rhythm: 1 is one usual interval after the last purchase.
-- Who bought once is compared with a month.
lateness as (
    select
        customer_id,
        usual_interval_days,
        cast(recency_days as double) / greatest(coalesce(usual_interval_days, 30), 7) as intervals_late
    from rhythm
),

final as (
    select
        customers.customer_id,
        customers.first_name,
        customers.last_name,
        customers.email,
        customers.phone,
        customers.born_on,
        customers.postcode,
        customers.city,
        customers.province_code,
        provinces.province_name,
        provinces.community,
        customers.registered_on,
        customers.card_count > 0 as has_card,
        customers.account_count > 0 as has_account,
        coalesce(consents.email_marketing, false) as consents_to_email,
        coalesce(consents.sms_marketing, false) as consents_to_sms,
        coalesce(consents.profiling, false) as consents_to_profiling,
        rfm.first_order_on,
        rfm.last_order_on,
        rfm.recency_days,
        round(lateness.usual_interval_days, 1) as usual_interval_days,
        coalesce(rfm.frequency, 0) as orders,
        coalesce(purchases.store_orders, 0) as store_orders,
        coalesce(purchases.shop_orders, 0) as shop_orders,
        coalesce(purchases.lifetime_revenue, {{ money('0') }}) as lifetime_revenue,
        {{ money('rfm.monetary / rfm.frequency') }} as average_order_value,
        rfm.recency_score,
        rfm.frequency_score,
        rfm.monetary_score,
        coalesce(rfm.segment, 'never bought') as segment,
        -- Nobody is at risk within 1.5 intervals; from 5 on there is little hope. Who never bought cannot leave.
        case
            when lateness.intervals_late is not null
                then round(least(greatest(cast((lateness.intervals_late - 1.5) / 3.5 as double), 0), 1), 3)
        end as churn_risk,
        by_store.store_id as preferred_store_id,
        by_category.category as preferred_category,
        coalesce(carts.abandoned_carts, 0) as abandoned_carts,
        web.last_web_visit_at
    from customers
    left join {{ ref('dim_province') }} as provinces on customers.province_code = provinces.province_code
    left join rfm on customers.customer_id = rfm.customer_id
    left join lateness on customers.customer_id = lateness.customer_id
    left join consents on customers.customer_id = consents.customer_id
    left join purchases on customers.customer_id = purchases.customer_id
    left join by_store on customers.customer_id = by_store.customer_id and by_store.place = 1
    left join by_category on customers.customer_id = by_category.customer_id and by_category.place = 1
    left join carts on customers.customer_id = carts.customer_id
    left join web on customers.customer_id = web.customer_id
)

select * from final
-- One person's row is near its neighbours, so that it is read without the rest.
order by customer_id
