-- What models and rules say about a person, and why: one row a person and score.

with customers as (
    select * from {{ ref('customers') }}
),

scores as (
    select
        customer_id,
        'churn_risk' as score,
        cast(churn_risk as double) as value,
        case when churn_risk < 0.3 then 'low' when churn_risk < 0.7 then 'medium' else 'high' end as label,
        case
            when usual_interval_days is null then 'bought once, ' || recency_days || ' days ago'
            else 'buys every ' || usual_interval_days || ' days, and last did ' || recency_days || ' days ago'
        end as reason
    from customers
    where churn_risk is not null
    union all
    select
        customer_id, 'recency', cast(recency_score as double), null,
        'bought last on ' || cast(last_order_on as varchar) || ', ' || recency_days || ' days ago'
    from customers
    where recency_score is not null
    union all
    select
        customer_id, 'frequency', cast(frequency_score as double), null,
        orders || ' purchases since ' || cast(first_order_on as varchar)
    from customers
    where frequency_score is not null
    union all
    select
        customer_id, 'monetary', cast(monetary_score as double), null,
        'spent ' || cast(lifetime_revenue as varchar) || ', ' || cast(average_order_value as varchar) || ' a purchase'
    from customers
    where monetary_score is not null
    union all
    select
        customer_id, 'segment', null, segment,
        case
            when recency_score is null then 'no purchase'
            else 'recency ' || recency_score || ' and frequency ' || frequency_score || ' of 5'
        end
    from customers
    union all
    select
        customer_id, 'cluster', cast(cluster as double), null,
        'buys like customers who came ' || cast(round(centroid_recency_days) as int) || ' days ago, '
        || cast(round(centroid_frequency) as int) || ' times, for ' || cast(round(centroid_monetary) as int)
    from {{ ref('customer_segments') }}
)

select * from scores
order by customer_id, score
