-- Recency, frequency and monetary value of known customers, as of the last day in the file.
with lines as (
    select * from {{ ref('fct_invoice_line') }}
    where customer_id is not null and not is_cancellation and unit_price > 0
),

last_day as (
    select max(invoiced_on) as day from {{ ref('fct_invoice_line') }}
),

buyers as (
    select
        customer_id,
        max(invoiced_on) as last_invoice_on,
        count(distinct invoice_id) as frequency,
        cast(sum(amount) as decimal(18, 3)) as monetary
    from lines
    group by customer_id
),

scored as (
    select
        buyers.*,
        cast(last_day.day - buyers.last_invoice_on as bigint) as recency_days,
        6 - ntile(5) over (order by buyers.last_invoice_on desc, buyers.customer_id) as recency_score,
        ntile(5) over (order by buyers.frequency, buyers.customer_id) as frequency_score,
        ntile(5) over (order by buyers.monetary, buyers.customer_id) as monetary_score
    from buyers
    cross join last_day
)

select
    customer_id,
    recency_days,
    frequency,
    monetary,
    last_invoice_on,
    cast(recency_score as int) as recency_score,
    cast(frequency_score as int) as frequency_score,
    cast(monetary_score as int) as monetary_score
from scored
