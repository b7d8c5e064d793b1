-- Recency, frequency and monetary value of everybody who bought, as of the last day of the data.

with orders as (
    select * from {{ ref('fct_order') }}
    where customer_id is not null and status = 'paid'
),

buyers as (
    select
        customer_id,
        cast({{ today() }} - max(ordered_on) as bigint) as recency_days,
        count(*) as frequency,
        {{ money('sum(revenue)') }} as monetary,
        min(ordered_on) as first_order_on,
        max(ordered_on) as last_order_on
    from orders
    group by customer_id
),

scored as (
    select
        *,
        -- 5 is best; customers who are equal are told apart by their id, so that a score never changes by itself.
        6 - ntile(5) over (order by recency_days, customer_id) as recency_score,
        ntile(5) over (order by frequency, customer_id) as frequency_score,
        ntile(5) over (order by monetary, customer_id) as monetary_score
    from buyers
),

final as (
    select
        scored.customer_id,
        scored.recency_days,
        scored.frequency,
        scored.monetary,
        scored.first_order_on,
        scored.last_order_on,
        cast(scored.recency_score as int) as recency_score,
        cast(scored.frequency_score as int) as frequency_score,
        cast(scored.monetary_score as int) as monetary_score,
        segments.segment
    from scored
    left join {{ ref('rfm_segments') }} as segments
        on scored.recency_score = segments.recency_score and scored.frequency_score = segments.frequency_score
)

select * from final
