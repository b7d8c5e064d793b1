-- Revenue by month, cancellations deducted.
with lines as (
    select *, cast(date_trunc('month', invoiced_on) as date) as month
    from {{ ref('fct_invoice_line') }}
)

select
    month,
    count(distinct invoice_id) filter (where not is_cancellation) as invoices,
    count(distinct customer_id) filter (where not is_cancellation) as customers,
    cast(sum(amount) filter (where not is_cancellation) as decimal(18, 3)) as sales,
    cast(coalesce(sum(amount) filter (where is_cancellation), 0) as decimal(18, 3)) as cancellations,
    cast(sum(amount) as decimal(18, 3)) as revenue
from lines
group by month
