with lines as (
    select * from {{ ref('stg_retail__lines') }}
)

select
    line_id,
    invoice_id,
    -- Invoices that begin with C take back what others sold.
    starts_with(invoice_id, 'C') as is_cancellation,
    product_id,
    product_name,
    customer_id,
    country,
    invoiced_at,
    cast(invoiced_at as date) as invoiced_on,
    quantity,
    unit_price,
    cast(quantity * unit_price as decimal(18, 3)) as amount
from lines
