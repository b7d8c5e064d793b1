-- Of the customers who first bought in a month, how many bought again so many months later, and for how much.

with orders as (
    select customer_id, {{ month_of('ordered_on') }} as month, revenue
    from {{ ref('fct_order') }}
    where customer_id is not null and status = 'paid'
),

cohorts as (
    select customer_id, min(month) as cohort_month
    from orders
    group by customer_id
),

sizes as (
    select cohort_month, count(*) as cohort_size
    from cohorts
    group by cohort_month
),

activity as (
    select
        cohorts.cohort_month,
        cast(
            (date_part('year', orders.month) - date_part('year', cohorts.cohort_month)) * 12
            + date_part('month', orders.month) - date_part('month', cohorts.cohort_month)
            as int
        ) as months_since,
        count(distinct orders.customer_id) as customers,
        sum(orders.revenue) as revenue
    from orders
    inner join cohorts on orders.customer_id = cohorts.customer_id
    group by 1, 2
),

final as (
    select
        activity.cohort_month,
        activity.months_since,
        sizes.cohort_size,
        activity.customers,
        {{ share('activity.customers', 'sizes.cohort_size') }} as retention,
        {{ money('activity.revenue') }} as revenue,
        {{ money('sum(activity.revenue) over (partition by activity.cohort_month order by activity.months_since)
            / sizes.cohort_size') }} as lifetime_value
    from activity
    inner join sizes on activity.cohort_month = sizes.cohort_month
)

select * from final
