-- The months add up to all that was invoiced.
with months as (
    select sum(revenue) as revenue from {{ ref('monthly_revenue') }}
),

lines as (
    select sum(quantity * unit_price) as revenue from {{ ref('stg_retail__lines') }}
)

select months.revenue as months_revenue, lines.revenue as lines_revenue
from months
cross join lines
where months.revenue <> lines.revenue
